// The parts of a page that react: the menu of small windows, dark mode, and search.
const { dataset } = document.documentElement;
const root = dataset.root;
const dark = matchMedia('(prefers-color-scheme: dark)');

const menu = document.getElementById('menu');
menu.addEventListener('click', () => {
  const isOpen = document.body.classList.toggle('menu-open');
  menu.setAttribute('aria-expanded', String(isOpen));
});
const sidebar = document.getElementById('sidebar');
const current = sidebar.querySelector('[aria-current]');
// Only the sidebar scrolls: `scrollIntoView` would scroll the page too.
if (current) sidebar.scrollTop = current.offsetTop - sidebar.clientHeight / 2;

document.getElementById('theme').addEventListener('click', () => {
  const isDark = dataset.theme ? dataset.theme === 'dark' : dark.matches;
  dataset.theme = isDark ? 'light' : 'dark';
  localStorage.setItem('theme', dataset.theme);
  document.dispatchEvent(new Event('theme'));
});

const input = document.getElementById('search');
const results = document.getElementById('results');
let loading;

/** Loads a script of the site. Unlike a module or a fetch, it loads even without a server. */
function loadScript(name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = `${root}assets/${name}`;
    script.addEventListener('load', resolve);
    script.addEventListener('error', () => reject(new Error(`${script.src} was not loaded`)));
    document.head.append(script);
  });
}

async function loadSearch() {
  await Promise.all([loadScript('minisearch.js'), loadScript('search-index.js')]);
  const search = new globalThis.MiniSearch({
    fields: ['heading', 'page', 'text'],
    storeFields: ['heading', 'page', 'text'],
    searchOptions: {
      boost: { heading: 4, page: 2 },
      prefix: (term) => term.length > 2,
      fuzzy: 0.1,
    },
  });
  search.addAll(globalThis.searchIndex);
  return search;
}

/** Lists each two words of a text that follow each other. */
function listPairs(text) {
  const words = text.toLowerCase().split(/\s+/);
  return words.slice(1).map((word, place) => `${words[place]} ${word}`);
}

/** Returns a part of a text, from shortly before the first of these words that it contains. */
function excerpt(text, words) {
  const lower = text.toLowerCase();
  const first = words.map((word) => lower.indexOf(word)).find((place) => place >= 0) ?? 0;
  const start = Math.max(0, first - 40);
  return `${start > 0 ? '…' : ''}${text.slice(start, start + 160)}`;
}

async function showResults() {
  loading ??= loadSearch();
  const search = await loading;
  const words = input.value.trim();
  results.hidden = words === '';
  const pairs = listPairs(words);
  // The words of a message are common; only their order leads to it.
  const boostDocument = (_id, _term, { text }) =>
    1 + pairs.filter((pair) => text.toLowerCase().includes(pair)).length;
  const found = search.search(words, { boostDocument }).slice(0, 12);
  results.replaceChildren(...found.map((section) => createResult(section, pairs)));
  if (found.length === 0) results.textContent = 'No section contains these words.';
}

function createResult({ id, heading, page, text, terms }, pairs) {
  const link = document.createElement('a');
  link.href = root + id;
  const title = document.createElement('strong');
  title.textContent = heading === page ? page : `${page}: ${heading}`;
  const body = document.createElement('span');
  body.textContent = excerpt(text, [...pairs, ...terms]);
  link.append(title, body);
  return link;
}

input.addEventListener('focus', () => {
  loading ??= loadSearch();
});
input.addEventListener('input', showResults);
document.addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.key === '/' && !isTyping) {
    event.preventDefault();
    input.focus();
  }
  if (event.key === 'Escape') results.hidden = true;
  if (event.key === 'Enter' && event.target === input) results.querySelector('a')?.click();
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
  const stops = [input, ...results.querySelectorAll('a')];
  const place = stops.indexOf(document.activeElement);
  if (place < 0 || results.hidden) return;
  event.preventDefault();
  stops.at((place + (event.key === 'ArrowDown' ? 1 : -1)) % stops.length).focus();
});
results.addEventListener('click', () => {
  results.hidden = true;
});
