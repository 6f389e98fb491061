import { createHash } from 'node:crypto';
import { html, render } from './html.ts';

/**
 * The style of all pages. It loads nothing, since the content security policy allows nothing else. Each pair of colors
 * has a contrast of at least 4.5 (text) or 3 (borders of fields). Sizes in vw keep room for words on a phone with large text.
 */
export const style = html`
:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --paper: #ffffff; --ink: #1b2430; --quiet: #586374; --line: #dde1e8; --edge: #7a8595;
  --accent: #2b5f9a; --on-accent: #ffffff;
  --warn: #8a5000; --warn-tint: #fdf2de; --bad: #b3261e; --bad-tint: #fcebe9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #11151b; --paper: #191f27; --ink: #e4e8ee; --quiet: #9aa6b6; --line: #2f3945; --edge: #758396;
    --accent: #84b4ec; --on-accent: #11151b;
    --warn: #e8b04f; --warn-tint: #2d2413; --bad: #f58a7d; --bad-tint: #331c1b;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, Segoe UI, Roboto, sans-serif;
  overflow-wrap: anywhere; padding: 1.5rem min(1rem, 4vw);
}
header, main { max-width: 28rem; margin: 0 auto; }
header { color: var(--quiet); font-weight: 600; padding-bottom: .75rem; }
header img { display: block; max-width: 100%; max-height: 3rem; }
@media (prefers-color-scheme: dark) {
  header img { background: #fff; border-radius: .5rem; color-scheme: light; padding: .375rem .5rem; }
}
main {
  background: var(--paper); border: 1px solid var(--line); border-radius: .75rem;
  display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.25rem; padding: 1.5rem min(1.5rem, 5vw);
}
section, form { display: grid; grid-template-columns: minmax(0, 1fr); gap: .75rem; }
section + section, ul + section { border-top: 1px solid var(--line); padding-top: 1.25rem; }
h1 { font-size: min(1.5rem, 10vw); line-height: 1.25; }
h2 { font-size: min(1.125rem, 10vw); line-height: 1.25; }
dl { display: grid; gap: .5rem; }
@media (min-width: 30rem) { dl div { display: grid; grid-template-columns: 7rem minmax(0, 1fr); gap: 1rem; align-items: baseline; } }
dt { color: var(--quiet); font-size: .875rem; }
dd { font-weight: 600; }
ul { list-style: none; padding: 0; display: grid; gap: .75rem; }
ol { padding-left: 1.25rem; display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.25rem; }
li > * + * { margin-top: .75rem; }
label { font-weight: 600; display: block; margin-bottom: .25rem; }
input, button, .button { font: inherit; width: 100%; min-height: 2.75rem; border-radius: .5rem; }
input {
  background: var(--paper); color: inherit; border: 1px solid var(--edge); padding: .5rem .75rem;
}
input[type=checkbox] { flex: none; width: 1.5rem; height: 1.5rem; min-height: 0; }
.tick { display: flex; gap: .75rem; }
input[readonly] { font: min(1.125rem, 6.5vw)/1.5 ui-monospace, monospace; text-align: center; padding: .5rem 0; }
button, .button {
  background: var(--paper); color: var(--accent); border: 1px solid var(--edge); cursor: pointer;
  display: block; font-weight: 600; padding: .5rem min(.75rem, 3vw); text-align: center; text-decoration: none;
}
.primary { background: var(--accent); color: var(--on-accent); border-color: var(--accent); }
button:hover, .button:hover { text-decoration: underline; }
button:disabled { cursor: default; opacity: .6; text-decoration: none; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.box { border: 1px solid; border-left-width: .375rem; border-radius: .5rem; padding: .625rem min(.875rem, 4vw); }
.warning { background: var(--warn-tint); border-color: var(--warn); }
.problem { background: var(--bad-tint); border-color: var(--bad); }
[hidden] { display: none; }
.factor { border: 1px solid var(--line); border-radius: .5rem; padding: .875rem min(.875rem, 4vw); }
.secret { display: block; font-size: 1.25rem; max-width: 19ch; user-select: all; }
.secret span { padding-right: .5ch; }
.codes { grid-template-columns: repeat(auto-fill, minmax(min(9rem, 100%), 1fr)); font-size: min(1.25rem, 10vw); }
svg { display: block; width: 100%; max-width: 20rem; border: 1px solid var(--line); border-radius: .5rem; }
.warning strong { color: var(--warn); }
.problem strong { color: var(--bad); }
code { font: .9375em ui-monospace, monospace; }
`;

/** The source of the style in a content security policy. */
export const styleSource = `'sha256-${createHash('sha256').update(render(style)).digest('base64')}'`;
