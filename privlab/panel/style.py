"""How a panel looks: readable in a light and a dark theme, on a wide screen and a narrow one."""

SHEET = """<style>
.privlab-panel, .privlab-bring { max-width: 1240px; font-family: system-ui, "DejaVu Sans", sans-serif;
  --privlab-text: var(--jp-ui-font-color0, #111); --privlab-quiet: var(--jp-ui-font-color1, #333);
  --privlab-problem: #A03000; --privlab-ring: #0072B2; }
[data-jp-theme-light="false"] :is(.privlab-panel, .privlab-bring) { --privlab-problem: #FFB08A;
  --privlab-ring: #56B4E9; }
.privlab-panel > :nth-child(3) { position: absolute; width: 1px; height: 1px; overflow: hidden; margin: 0;
  clip-path: inset(50%); }
/* twice the class: ipywidgets says none, and that it is important */
:is(.privlab-panel.privlab-panel, .privlab-bring.privlab-bring) :focus-visible {
  outline: 3px solid var(--privlab-ring) !important; outline-offset: -2px; }
.privlab-panel.privlab-panel :is(.noUi-handle, [type=checkbox]):focus-visible { outline-offset: 1px; }
.privlab-controls { flex: 1 1 290px; min-width: min(270px, 100%); max-width: 350px; padding-right: 18px; }
.privlab-right { flex: 3 1 560px; min-width: min(300px, 100%); contain: content; padding: 3px; }
.privlab-picture { display: block; max-width: 100%; height: auto; }
.privlab-sentence { font-size: 16px; line-height: 1.45; max-width: 780px; margin: 4px 0; min-height: 5.8em; }
.privlab-progress { width: 160px; height: 10px; accent-color: #0072B2; display: block; margin: 0 0 4px; }
.privlab-note { font-size: 15px; line-height: 1.4; max-width: 780px; }
.privlab-sentence, .privlab-note { color: var(--privlab-text); }
.privlab-problem { color: var(--privlab-problem); font-weight: 600; font-size: 14px; line-height: 1.35; }
.privlab-mode { color: var(--privlab-quiet); font-size: 14px; line-height: 1.35; margin: 4px 8px; }
.privlab-label, .privlab-slider > .widget-label, .privlab-choice > .widget-label { color: var(--privlab-text);
  font-size: 14px; line-height: 1.3; }
.privlab-label { margin: 4px 8px 0; }
.widget-hslider.privlab-slider, .widget-dropdown.privlab-choice { display: grid; align-items: center; height: auto;
  grid-template-columns: minmax(0, 1fr) auto; margin-top: 4px; padding-left: 6px; }
.privlab-slider > .widget-label, .privlab-choice > .widget-label { grid-column: 1 / -1; width: auto; height: auto;
  margin: 0 2px; text-align: left; white-space: normal; }
.privlab-slider > .slider-container { width: auto; }
.privlab-choice > select { margin: 2px 14px 2px 2px; height: 28px; }
.privlab-opened { font-weight: 700; }
.privlab-ends { display: flex; justify-content: space-between; font-size: 12px; color: var(--privlab-quiet);
  line-height: 1; margin: 0 8px 4px; }
.privlab-details { max-height: 340px; overflow: auto; font-size: 13px; max-width: 780px; }
.privlab-details pre { white-space: pre-wrap; background: #f4f4f4; color: #111; padding: 8px; }
</style>"""
