// It runs before the page is drawn, so that a dark page does not first flash in white.
const theme = localStorage.getItem('theme');
if (theme) document.documentElement.dataset.theme = theme;
