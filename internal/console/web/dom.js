// Drawing: h() describes what should be there, draw() makes it so and touches
// only what differs, so that focus, selection and scrolling survive a second's news.

const SVG = 'http://www.w3.org/2000/svg';
const svgTags = new Set(['svg', 'g', 'path', 'rect', 'line', 'text', 'circle', 'polyline']);

// h describes an element. Props beginning with "on" are listeners; key tells
// siblings apart; props that are false, null or undefined are left out.
export function h(tag, props, ...kids) {
  return { tag, props: props || {}, kids: flat(kids) };
}

function flat(kids) {
  return kids.flat(Infinity).filter((k) => k !== null && k !== undefined && k !== false && k !== '');
}

// draw makes the children of a node those described.
export function draw(node, ...wanted) {
  const kids = flat(wanted);
  const keyed = new Map();
  for (const child of node.childNodes) if (child.key !== undefined) keyed.set(child.key, child);
  let at = node.firstChild;
  for (const want of kids) {
    let have = typeof want === 'object' && want.props.key !== undefined ? keyed.get(String(want.props.key)) : at;
    if (!fits(have, want)) have = undefined;
    if (have === undefined || have === null) {
      const made = make(want);
      node.insertBefore(made, at);
      continue;
    }
    if (have !== at) node.insertBefore(have, at);
    else at = at.nextSibling;
    update(have, want);
  }
  while (at) {
    const next = at.nextSibling;
    node.removeChild(at);
    at = next;
  }
}

function fits(node, want) {
  if (!node) return false;
  if (typeof want !== 'object') return node.nodeType === Node.TEXT_NODE;
  const key = want.props.key === undefined ? undefined : String(want.props.key);
  return node.nodeType === Node.ELEMENT_NODE && node.localName === want.tag && node.key === key;
}

function make(want) {
  if (typeof want !== 'object') return document.createTextNode(String(want));
  const node = svgTags.has(want.tag) ? document.createElementNS(SVG, want.tag) : document.createElement(want.tag);
  if (want.props.key !== undefined) node.key = String(want.props.key);
  node.had = {};
  update(node, want);
  return node;
}

function update(node, want) {
  if (typeof want !== 'object') {
    if (node.data !== String(want)) node.data = String(want);
    return;
  }
  const had = node.had || (node.had = {});
  for (const name of Object.keys(had)) if (!(name in want.props)) set(node, name, null);
  for (const [name, value] of Object.entries(want.props)) if (had[name] !== value) set(node, name, value);
  node.had = want.props;
  if (!want.props.keep) draw(node, want.kids);
}

function set(node, name, value) {
  if (name === 'key' || name === 'keep') return;
  if (name.startsWith('on')) node[name] = value;
  else if (name === 'width%') node.style.width = value === null ? '' : `${value}%`;
  else if (name === 'checked' || name === 'disabled' || name === 'hidden' || name === 'open') node[name] = Boolean(value);
  else if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? '' : String(value));
}

// money is micro-USD for people: as many digits as matter.
export function money(micro) {
  if (micro === null || micro === undefined || Number.isNaN(micro)) return '–';
  const usd = micro / 1e6;
  const size = Math.abs(usd);
  if (size === 0) return '$0';
  if (size >= 100) return '$' + Math.round(usd).toLocaleString('en-US');
  if (size >= 0.995) return '$' + usd.toFixed(2);
  if (size >= 0.01) return '$' + usd.toFixed(3);
  return '$' + usd.toFixed(4);
}

export function count(n) {
  return n === null || n === undefined ? '–' : Number(n).toLocaleString('en-US');
}

// jobs is a number of them, in words.
export function jobs(n) {
  return `${count(n)} ${n === 1 ? 'job' : 'jobs'}`;
}

// span is a duration in seconds for people.
export function span(s) {
  if (s === null || s === undefined || Number.isNaN(s)) return '–';
  if (s < 0) s = 0;
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${pad(Math.floor(s % 60))} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

function pad(n) {
  return String(n).padStart(2, '0');
}

// since is how long ago a moment was, on this machine's clock.
export function since(at) {
  return at ? span((Date.now() - Date.parse(at)) / 1000) : '–';
}

export function clock(at) {
  return at ? new Date(at).toLocaleTimeString('en-GB') : '–';
}

// brief is the end of an id, which is what differs; the whole is in its title.
export function brief(id) {
  return id ? '…' + id.slice(-8) : '–';
}

export function words(s) {
  return String(s || '').replaceAll('_', ' ').replaceAll('-', ' ');
}
