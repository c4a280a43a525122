/** The wiring: which part of the page gets which. */

import { adapt } from "./adapt.js";
import { Admin } from "./admin.js";
import { Answer } from "./answer.js";
import { Correct } from "./correct.js";
import { $, tell } from "./dom.js";
import { Draw } from "./draw.js";
import { Drift } from "./drift.js";
import { Features } from "./features.js";
import { Gallery } from "./gallery.js";
import { Live } from "./live.js";
import { Models } from "./models.js";
import { Notice } from "./notice.js";
import { Pad } from "./pad.js";
import { Quiz } from "./quiz.js";
import { Review } from "./review.js";
import { Salvo } from "./salvo.js";
import { Samples } from "./samples.js";
import { Service } from "./service.js";
import { Training } from "./training.js";
import { Views } from "./views.js";

const BADGES = { down: "not reachable", "not-ready": "not ready", full: "full", locked: "needs a key" };

const service = new Service();
const notice = new Notice($("#notice"), service);
const views = new Views(["draw", "gallery", "models", "training", "live"]);
const pad = new Pad($("#pad"));
const answer = new Answer();
const features = new Features({ service });
const admin = new Admin({ service, views });
const models = new Models({ service, views, notice, admin });
const correct = new Correct({ service, views, pad, models, features });
const draw = new Draw({ service, views, notice, pad, answer, models, correct });
new Samples({ models, draw });
new Gallery({ views, models, draw });
new Quiz({ service, views, models, notice });
new Drift({ features });
new Training({ service, views, features, admin, models, draw });
new Review({ service, views, features, admin, models });
new Live({ service, views });
new Salvo({ service, models });

function badge() {
	const { kind } = service.state;
	$("#badge").className = `badge ${kind}`;
	tell("badge-text", BADGES[kind] ?? (models.served ? `${models.name}, version ${models.served}` : "connecting"));
}

models.addEventListener("listed", () => {
	adapt(models);
	answer.labels = models.labels;
	draw.adapt();
	tell("misreader", `version ${models.served}`);
	badge();
});
service.addEventListener("state", badge);

$("#theme").onclick = () => {
	const { style } = document.documentElement;
	const asked = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
	style.colorScheme = (style.colorScheme || asked) === "dark" ? "light" : "dark";
	pad.redraw();
};

service.watch();
