// What ipywidgets leaves unsaid: names and values of sliders, keys for the accordion, what a button has opened, and the
// finding for those who hear it. All of it is read off the page, so a move sends no message more.

const QUIET = 400; // milliseconds without a change before a final sentence is told
const LATER = 100; // milliseconds until what is new is named: not while a picture is on its way to the screen

function set(node, values) {
    for (const [name, value] of Object.entries(values)) {
        if (node && value && node.getAttribute(name) !== value) node.setAttribute(name, value);
    }
}

// ipywidgets has it say the place on the slider
function nameValue(handle) {
    const readout = handle?.closest(".privlab-slider")?.querySelector(".widget-readout");
    set(handle, { "aria-valuetext": readout?.textContent });
}

function nameAll(panel) {
    for (const slider of panel.querySelectorAll(".privlab-slider")) {
        const label = slider.querySelector(".widget-label");
        const handle = slider.querySelector(".noUi-handle");
        set(handle, { "aria-label": label?.textContent, "aria-description": label?.title });
        nameValue(handle);
        // it could be typed in, to no effect
        set(slider.querySelector(".widget-readout"), { contenteditable: "false" });
    }
    for (const choice of panel.querySelectorAll(".privlab-choice")) {
        set(choice.querySelector("select"), { "aria-description": choice.querySelector(".widget-label")?.title });
    }
    for (const boxes of panel.querySelectorAll(".privlab-boxes")) {
        set(boxes, { role: "group", "aria-label": boxes.querySelector(".privlab-label")?.textContent });
    }
    for (const header of panel.querySelectorAll(".jupyter-widget-Collapse-header")) {
        const open = header.parentElement.classList.contains("jupyter-widget-Collapse-open");
        set(header, { role: "button", tabindex: "0", "aria-expanded": String(open) });
    }
    for (const button of panel.querySelectorAll(".privlab-opens")) {
        set(button, { "aria-expanded": String(button.classList.contains("privlab-opened")) });
    }
    // lest JupyterLab take arrows and letters for commands on its cells
    for (const control of panel.querySelectorAll("button, select, input, [tabindex='0']")) {
        set(control, { "data-lm-suppress-shortcuts": "true" });
    }
}

function finding(panel) {
    const words = [".privlab-sentence", ".privlab-note"].map((found) => panel.querySelector(found)?.textContent ?? "");
    return words.join(" ").trim();
}

function accompany(panel, heard) {
    let waiting, naming;
    let told = finding(panel);
    const tell = () => {
        const words = finding(panel);
        if (words !== told) heard.textContent = told = words;
    };
    const nameRest = () => {
        naming = undefined;
        nameAll(panel);
    };
    const seen = new MutationObserver((changes) => {
        const named = changes.filter(({ attributeName }) => attributeName);
        const values = named.filter(({ attributeName }) => attributeName === "aria-valuetext");
        for (const { target } of values) nameValue(target);
        if (values.length < named.length) nameAll(panel); // something opened or folded, as a hand has asked for
        naming ??= setTimeout(nameRest, LATER);
        clearTimeout(waiting);
        if (panel.querySelector(".privlab-progress")?.value === 1) waiting = setTimeout(tell, QUIET);
    });
    const pressed = (event) => {
        if (event.target.matches(".jupyter-widget-Collapse-header") && [" ", "Enter"].includes(event.key)) {
            event.preventDefault();
            event.target.click();
        }
    };
    nameAll(panel);
    seen.observe(panel, { subtree: true, childList: true, attributeFilter: ["aria-valuetext", "class", "contenteditable"] });
    panel.addEventListener("keydown", pressed);
    return () => {
        clearTimeout(waiting);
        clearTimeout(naming);
        seen.disconnect();
        panel.removeEventListener("keydown", pressed);
    };
}

function render({ el }) {
    const heard = el.appendChild(document.createElement("div"));
    set(heard, { class: "privlab-heard", role: "status" });
    let leave = () => {};
    let next = requestAnimationFrame(function look() {
        const panel = el.closest(".privlab-panel"); // none until the page has taken this in
        if (panel) leave = accompany(panel, heard);
        else next = requestAnimationFrame(look);
    });
    return () => {
        cancelAnimationFrame(next);
        leave();
    };
}

export default { render };
