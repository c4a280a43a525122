/**
 * The page follows the model that serves. Its HTML is that for drawn digits and names what differs for others:
 *
 *   data-image="..."    the text where the classes are not digits
 *   data-upload="..."   the text where images are uploaded and not drawn, whatever the classes
 *   data-for="..."      shown only where images are drawn ("draw"), where they are uploaded ("upload"),
 *                       or where the version has test images ("samples")
 */

const texts = new Map(); // of the HTML, by element

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
