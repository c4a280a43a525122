/** The features that the service has, as /v1/status reports them. "known" is dispatched after each request. */

export class Features extends EventTarget {
	feedback = false; // whether it accepts corrections
	retraining = { set_up: false, runs: false }; // whether it runs jobs, and reports training runs of its machine
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
			// The notice shows it, and "back" will be dispatched.
		}
	}
}
