// Lists what is wrong with the page's shape and structure.
(() => {
	const faults = [];
	document.querySelectorAll("details").forEach((d) => { d.open = true; });

	const width = document.documentElement.scrollWidth;
	if (width > innerWidth) faults.push(`the page is ${width} px wide in a window of ${innerWidth} px`);

	document.body.querySelectorAll("*").forEach((e) => {
		const name = `${e.tagName}.${e.className}`;
		const box = e.getBoundingClientRect(), style = getComputedStyle(e), scrolls = e.closest(".scroll");

		const outside = box.right > innerWidth + 0.5 || box.left < -0.5;
		if (!scrolls && box.width && outside) faults.push(`${name} leaves the window`);

		const overflows = e.scrollWidth > e.clientWidth + 1 && e.clientWidth;
		if (overflows && style.overflowX === "visible" && style.display !== "inline" && !scrolls) {
			faults.push(`the content of ${name} leaves it`);
		}

		if (/auto|scroll/.test(style.overflowX + style.overflowY) && e.tabIndex < 0) {
			faults.push(`${name} scrolls and has no focus`);
		}
	});

	let level = 0;
	document.querySelectorAll("h1, h2, h3, h4, h5, h6").forEach((h) => {
		const next = Number(h.tagName[1]);
		if (next > level + 1 || (next === 1 && level !== 0)) {
			faults.push(`${h.tagName} ${h.textContent} behind a heading of level ${level}`);
		}
		level = next;
	});

	if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
	if (document.documentElement.lang !== "en") faults.push("no language");
	if (!document.title) faults.push("no title");

	for (const landmark of ["header", "main"]) {
		if (document.querySelectorAll(`body > ${landmark}`).length !== 1) faults.push(`not one ${landmark}`);
	}

	document.querySelectorAll("[aria-labelledby]").forEach((e) => {
		const label = document.getElementById(e.getAttribute("aria-labelledby"));
		if (!label || !label.textContent.trim()) faults.push(`${e.tagName} without its label`);
	});
	document.querySelectorAll("iframe").forEach((e) => { if (!e.title) faults.push("a frame without a title"); });

	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	if (new Set(ids).size !== ids.length) faults.push("an id twice");
	if ([...document.scripts].some((s) => !s.src)) faults.push("a script in the page");

	return faults;
})()
