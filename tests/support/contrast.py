"""Contrast of text with what is behind it, in all of a page within milliseconds: axe takes a hundred times as long for each look."""

from __future__ import annotations

TOO_LITTLE_CONTRAST = """() => {
    const numbers = (colour) => colour.match(/[\\d.]+(e-\\d+)?/g).map(Number);
    const parse = (colour) => {
        const [red, green, blue, alpha = 1] = numbers(colour);
        return { rgb: colour.startsWith("color(") ? [red, green, blue].map((part) => part * 255) : [red, green, blue], alpha };
    };
    const over = (front, alpha, back) => front.map((part, index) => part * alpha + back[index] * (1 - alpha));
    const luminance = (rgb) => {
        const [red, green, blue] = rgb.map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    // What is behind an element's text: its own colour and those of what holds it, up to the first that nothing shines through.
    const known = new Map();
    const behind = (element) => {
        if (!element) return [255, 255, 255];
        if (!known.has(element)) {
            const { rgb, alpha } = parse(getComputedStyle(element).backgroundColor);
            known.set(element, alpha === 1 ? rgb : over(rgb, alpha, behind(element.parentElement ?? element.getRootNode().host)));
        }
        return known.get(element);
    };
    const opacity = (element) => element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1;
    const isRead = (element) =>
        element.matches("input:not([type=checkbox], [type=radio], [type=file], [type=range]), textarea, select")
            ? element.matches("select") || element.value || element.placeholder
            : [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const found = [];
    const look = (root) => {
        for (const element of root.querySelectorAll("*")) {
            if (element.shadowRoot) look(element.shadowRoot);
            if (!isRead(element) || element.closest("option, :disabled, [aria-disabled=true]")) continue;
            if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
            const style = getComputedStyle(element, element.placeholder && !element.value ? "::placeholder" : null);
            const { rgb, alpha } = parse(element.ownerSVGElement ? style.fill : style.color);
            const back = behind(element);
            const [lighter, darker] = [luminance(over(rgb, alpha * opacity(element), back)), luminance(back)].sort((one, other) => other - one);
            const size = parseFloat(style.fontSize);
            const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
            const ratio = (lighter + 0.05) / (darker + 0.05);
            if (ratio < (isLarge ? 3 : 4.5))
                found.push([element.outerHTML, `${ratio.toFixed(2)}: ${style.color} on ${back.map(Math.round)}, ${size} px`]);
        }
    };
    look(document.querySelector("dialog[open]") ?? document);
    return found;
}"""
"""Text with less contrast than WCAG 2.2 asks for (1.4.3), as pairs of its markup and what is wrong; of an open dialog alone. Text over a
picture, or over what does not hold it, it cannot judge: axe does, in the look in which it looks for everything."""
