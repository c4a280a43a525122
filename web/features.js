/** What the service is set up for, as /v1/status reports it. "known" is dispatched after each look. */

export class Features extends EventTarget {
	feedback = false; // it accepts corrections
	retraining = { set_up: false, runs: false }; // jobs; training runs of its machine
	inputChanges = []; // how far the images of requests differ from the test images, by quantity

	constructor({ service }) {
		super();
		this.service = service;
		service.addEventListener("back", () => this.look());
		this.look();
	}

	async look() {
		try {
			const { feedback, retraining, input_changes: inputChanges } = await this.service.json("v1/status");
			Object.assign(this, { feedback: feedback ?? false, retraining: retraining ?? this.retraining, inputChanges: inputChanges ?? [] });
			this.dispatchEvent(new Event("known"));
		} catch {
			// The notice says so, and "back" will come.
		}
	}
}
