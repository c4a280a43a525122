/** Creates the parts of the page and connects them. */

import { adapt } from "./adapt.js";
import { Admin } from "./admin.js";
import { Answer } from "./answer.js";
import { Correct } from "./correct.js";
import { $, setText } from "./dom.js";
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
import { keepDrawing, store, stored } from "./stored.js";
import { Training } from "./training.js";
import { Views } from "./views.js";

const BADGES = { down: "not reachable", offline: "offline", "not-ready": "not ready", full: "full", locked: "needs a key" };

const service = new Service();
const notice = new Notice($("#notice"), service);
const views = new Views(["draw", "gallery", "models", "training", "live"]);
const pad = new Pad($("#pad"));
const restoreDrawing = keepDrawing(pad);
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
	const { kind, detail } = service.state;
	$("#badge").className = `badge ${kind}`;
	setText("badge-text", BADGES[detail] ?? BADGES[kind] ?? (models.served ? `${models.name}, version ${models.served}` : "connecting"));
}

models.addEventListener("listed", () => {
	adapt(models);
	views.title();
	answer.labels = models.labels;
	answer.threshold = models.card.acceptance?.threshold ?? null;
	draw.adapt();
	setText("misreader", `version ${models.served}`);
	badge();
});
models.addEventListener("listed", () => restoreDrawing(models), { once: true });
service.addEventListener("state", badge);

const { style } = document.documentElement;
style.colorScheme = stored("theme") ?? "";
$("#theme").onclick = () => {
	const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
	style.colorScheme = (style.colorScheme || preferred) === "dark" ? "light" : "dark";
	store("theme", style.colorScheme);
	pad.redraw();
};

service.watch();
