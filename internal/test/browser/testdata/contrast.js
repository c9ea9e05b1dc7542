// Lists the texts whose contrast with what is behind them is below 4.5.
(() => {
	const parse = (colour) => {
		const parts = colour.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
		if (!parts) throw new Error("colour " + colour);

		return { rgb: parts.slice(1, 4).map(Number), alpha: parts[4] === undefined ? 1 : Number(parts[4]) };
	};

	const luminance = (rgb) => {
		const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};

	const background = (element) => {
		for (let e = element; e; e = e.parentElement) {
			const { rgb, alpha } = parse(getComputedStyle(e).backgroundColor);
			if (alpha === 1) return rgb;
			if (alpha !== 0) throw new Error("half transparent background of " + e.tagName);
		}

		throw new Error("nothing behind " + element.tagName);
	};

	const weak = [];
	let checked = 0;
	const check = (element, style, text) => {
		const { rgb, alpha } = parse(style.color);
		if (alpha !== 1 || style.opacity !== "1") throw new Error("half transparent text: " + text);

		const [high, low] = [luminance(rgb), luminance(background(element))].sort((a, b) => b - a);
		const ratio = (high + 0.05) / (low + 0.05);
		checked++;
		if (ratio < 4.5) weak.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${text.slice(0, 40)}`);
	};

	document.querySelectorAll("details").forEach((d) => { d.open = true; });
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
		if (text && element.getClientRects().length) check(element, getComputedStyle(element), text);
	}

	document.querySelectorAll(".journey li").forEach((li) => check(li, getComputedStyle(li, "::before"), "number"));
	if (checked < 2) throw new Error("nothing was checked");

	return weak;
})()
