/**
 * Adapts the page to the served model. The HTML is written for drawn digits; its attributes name what differs for other models:
 *
 *   data-image="..."    the text where the classes are not digits
 *   data-upload="..."   the text where images are uploaded and not drawn, whatever the classes
 *   data-for="..."      shown only where images are drawn ("draw"), where they are uploaded ("upload"),
 *                       or where the version has test images ("samples")
 */

const texts = new Map(); // the original text of each element

export function adapt({ draws, readsDigits, hasSamples }) {
	document.body.classList.toggle("uploads", !draws);
	for (const element of document.querySelectorAll("[data-image], [data-upload]")) {
		if (!texts.has(element)) texts.set(element, element.textContent);
		const { image, upload } = element.dataset;
		const text = (draws ? null : upload) ?? (draws && readsDigits ? null : image) ?? texts.get(element);
		if (element.textContent !== text) element.textContent = text;
	}
	const shown = { draw: draws, upload: !draws, samples: hasSamples };
	for (const element of document.querySelectorAll("[data-for]")) element.hidden = !shown[element.dataset.for];
}
