// What the page knows. One object, read by everything that draws; changed() says
// that it has other contents now.

import { draw } from './dom.js';

export const state = {
  me: null,
  fleet: null,
  feed: null, // of the fleet, or of one's own jobs
  spend: null, // null: not asked yet, false: this fleet has none
  by: 'owner',
  labelKey: '', // of the shares by label
  jobs: [], // those of the list
  listed: false, // whether they were asked for yet
  running: [], // those that run, for the shares
  show: 'live', // which jobs the list shows
  filter: '',
  orders: [],
  blocks: { blocks: [], head: '' },
  changes: [],
  kills: new Map(), // receipts of orders that are open or were when this page saw them
  issued: new Map(), // order id -> when this page ordered it, performance.now()
  quiet: new Map(), // order id -> how long after that it was seen quiesced, in seconds
  away: new Set(), // kills that were dismissed
  route: { page: 'overview' },
  error: null,
  incident: '',
};

export function may(act) {
  return Boolean(state.me?.may.includes(act));
}

let view = () => {};
let due = false;

export function drawWith(fn) {
  view = fn;
}

// changed draws the page, once for all changes of the moment.
export function changed() {
  if (due) return;
  due = true;
  setTimeout(() => {
    due = false;
    view();
  }, 16);
}

export const at = (id) => document.getElementById(id);

// say tells a screen reader; alarm interrupts it.
export function say(text) {
  const line = document.createElement('p');
  line.textContent = text;
  at('say').append(line);
  while (at('say').children.length > 3) at('say').firstChild.remove();
}

export function alarm(text) {
  at('alarm').textContent = text;
}

export { draw };

// took keeps a receipt, and remembers when its order was first seen quiesced.
export function took(receipt) {
  const id = receipt.order;
  const before = state.kills.get(id);
  const open = !stopped(receipt);
  if (!before && !open && !state.issued.has(id)) return;
  if (state.away.has(id)) return;
  state.kills.set(id, receipt);
  if (!open && (!before || !stopped(before))) {
    if (state.issued.has(id)) state.quiet.set(id, (performance.now() - state.issued.get(id)) / 1000);
    say(`Quiesced. ${receipt.tally.targeted} targeted, ${receipt.tally.stopped} stopped, ${receipt.tally.not_running} were not running, ${receipt.tally.fenced} fenced.`);
  }
  changed();
}

// stopped: nobody holds authority over anything the receipt is about.
export function stopped(r) {
  if (r.verdict) return r.verdict !== 'waiting' && r.verdict !== 'deaf';
  return r.stage === 'quiesced';
}
