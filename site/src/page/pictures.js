// Draws the Mermaid pictures of a page, and draws them again in the colors of the other theme.
const pictures = [...document.querySelectorAll('.picture')];
const sources = pictures.map(({ textContent }) => textContent);

async function draw() {
  const { theme } = document.documentElement.dataset;
  const isDark = theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  globalThis.mermaid.initialize({ startOnLoad: false, theme: isDark ? 'dark' : 'neutral' });
  for (const [place, picture] of pictures.entries()) {
    const { svg } = await globalThis.mermaid.render(`picture-${place}`, sources[place]);
    picture.innerHTML = svg;
    picture.classList.add('drawn');
  }
}

document.addEventListener('theme', draw);
void draw();
