// The start: sign in, the routes, what is asked when, and the frame of the page.

import { credential, get, Problem, signIn, signOut } from './api.js';
import { dialogs } from './dialogs.js';
import { h } from './dom.js';
import { listen } from './keys.js';
import { every, Feed, follow } from './live.js';
import { banners, bar } from './frame.js';
import { job } from './job.js';
import { over, overview } from './overview.js';
import { receiptPage } from './receipt.js';
import { alarm, at, changed, draw, drawWith, may, say, state, took } from './state.js';
import { initTheme } from './theme.js';
import { labelKey } from './top.js';

let session = new AbortController(); // everything asked on behalf of one sign-in
let page = new AbortController(); // and for one page
let wasStale = false;

function view() {
  if (!state.me) {
    draw(at('bar'));
    draw(at('banners'));
    draw(at('main'), signInForm());
    return;
  }
  draw(at('bar'), bar(actions));
  draw(at('banners'), banners(actions));
  const pages = { overview, job, order: receiptPage };
  draw(at('main'), h('div', { key: `${state.route.page} ${state.route.id || ''}` }, pages[state.route.page](actions)));
}

function signInForm() {
  return h('div', { class: 'door', key: 'door' },
    h('h1', null, h('img', { src: 'icon.svg', alt: '', width: 28, height: 28 }), 'Gavel console'),
    h('p', { class: 'dim' }, 'Sign in with an API key of this fleet. It stays in this tab and is gone when you close it.'),
    h('form', { onsubmit: submitKey, autocomplete: 'off' },
      h('label', { for: 'key' }, 'API key'),
      h('input', { id: 'key', type: 'password', required: true, autofocus: true, spellcheck: 'false', autocomplete: 'off' }),
      state.error && h('p', { class: 'fault', role: 'alert' }, state.error),
      h('button', { class: 'primary', type: 'submit' }, 'Sign in')));
}

function submitKey(e) {
  e.preventDefault();
  const key = at('key').value.trim();
  if (key) enter(key);
}

async function enter(key) {
  try {
    state.me = await get('/v1/me', { key });
  } catch (e) {
    leave(e instanceof Problem ? e.inWords : String(e));
    return;
  }
  state.error = null;
  signIn(key);
  session = new AbortController();
  begin(session.signal);
  routed();
  say(`Signed in as ${state.me.subject}.`);
  at('main').focus();
}

function leave(why) {
  session.abort();
  page.abort();
  signOut();
  Object.assign(state, {
    me: null, fleet: null, feed: null, spend: null, jobs: [], listed: false, running: [], orders: [], changes: [], error: why || null,
    blocks: { blocks: [], head: '' }, kills: new Map(), issued: new Map(), quiet: new Map(), away: new Set(),
  });
  dialogs.close();
  changed();
  setTimeout(() => at('key')?.focus(), 50);
}

// begin asks for what every page needs.
function begin(signal) {
  state.feed = may('fleet-read')
    ? new Feed({ streamPath: '/v1/fleet/events', poll: () => get('/v1/fleet', { signal, timeout: 4000 }), take: tookFleet, changed })
    : new Feed({ poll: () => get('/v1/jobs?limit=100', { signal, timeout: 4000 }), take: (d) => { state.jobs = d.jobs; state.listed = true; }, changed });
  state.feed.run(signal);
  every(1000, signal, tick);
  every(2000, signal, guarded(askSpend));
  if (!may('fleet-read')) return;
  every(2500, signal, guarded(askOrders));
  every(2000, signal, guarded(askJobs));
  every(5000, signal, guarded(askChanges));
  every(5000, signal, guarded(async () => { state.blocks = await get('/v1/blocks', { signal }); }));
}

const following = new Set();

function tookFleet(fleet) {
  const was = state.fleet?.gate.frozen;
  state.fleet = fleet;
  if (was !== undefined && was !== fleet.gate.frozen) say(fleet.gate.frozen ? `The fleet is frozen: ${fleet.gate.reason}` : 'The fleet is open again.');
  for (const id of fleet.open_orders) watchOrder(id);
}

// watchOrder follows an order to its end, whoever gave it.
export function watchOrder(id) {
  if (following.has(id)) return;
  following.add(id);
  const { signal } = session;
  follow(`/v1/orders/${id}/events`, signal, (e) => took(e.data)).finally(() => {
    following.delete(id);
    if (!signal.aborted) for (const ask of [askJobs, askSpend]) guarded(ask)(); // what it stopped is not shown as running any longer
  });
}

async function askSpend() {
  if (state.spend === false && Math.random() > 0.1) return;
  try {
    const by = state.by === 'label' ? labelKey() && `label:${labelKey()}` : state.by;
    const spend = await get(`/v1/spend?by=${encodeURIComponent(by || 'owner')}`);
    state.spend = { ...spend, asked: by ? state.by : '' };
  } catch (e) {
    if (!(e instanceof Problem) || ![404, 403, 422].includes(e.status)) throw e;
    if (e.status === 422) state.spend = { ...state.spend, asked: null, top: [] };
    else state.spend = false;
  }
}

async function askOrders() {
  state.orders = (await get('/v1/orders?limit=20')).orders;
  for (const r of state.orders) if (state.kills.has(r.order) || state.fleet?.open_orders.includes(r.order)) took(r);
}

const shows = {
  live: 'state=queued&state=running&state=parked&state=delayed&state=held&state=killing',
  running: 'state=running&state=killing',
  parked: 'state=parked&state=held&state=delayed',
  ended: 'state=succeeded&state=failed&state=killed',
  all: '',
};

async function askJobs() {
  if (state.route.page !== 'overview') return;
  state.running = (await get(`/v1/jobs?limit=200&${shows.running}`)).jobs;
  if (state.show === 'silent') state.jobs = await silent();
  else if (state.show === 'dearest') state.jobs = state.running.toSorted((a, b) => (b.spent_micro_usd || 0) - (a.spent_micro_usd || 0)).slice(0, 100);
  else state.jobs = state.show === 'running' ? state.running : (await get(`/v1/jobs?limit=100&${shows[state.show]}`)).jobs;
  state.listed = true;
}

// silent are the jobs that workers name as those without progress; one that is
// over meanwhile is none.
async function silent() {
  const ids = state.fleet?.workers.flatMap((w) => w.no_progress_jobs || []).slice(0, 50) || [];
  const found = await Promise.allSettled(ids.map((id) => get(`/v1/jobs/${id}`)));
  return found.filter((f) => f.status === 'fulfilled' && !over(f.value)).map((f) => f.value);
}

async function askChanges() {
  if (may('audit-read')) state.changes = (await get('/v1/audit?limit=30')).entries;
}

// guarded draws what work brought; a credential that is no longer good signs out.
function guarded(work) {
  return async () => {
    try {
      await work();
    } catch (e) {
      if (e instanceof Problem && e.status === 401) leave(e.inWords);
      return;
    }
    changed();
  };
}

// tick draws the ages, and says when the data have become stale or fresh again.
function tick() {
  const stale = state.feed.seen > 0 && state.feed.stale();
  if (stale !== wasStale) {
    (stale ? alarm : say)(stale ? 'The data are stale: the dispatcher does not answer.' : 'The data are fresh again.');
    if (!stale) alarm('');
  }
  wasStale = stale;
  if (state.feed.problem instanceof Problem && state.feed.problem.status === 401) leave(state.feed.problem.inWords);
  changed();
}

function routed() {
  page.abort();
  page = new AbortController();
  const [, name, id] = location.hash.split('/');
  if (name === 'jobs' && id) state.route = { page: 'job', id, job: null, events: [], signal: page.signal };
  else if (name === 'orders' && id) state.route = { page: 'order', id, signal: page.signal };
  else state.route = { page: 'overview' };
  document.title = { job: 'Job · ', order: 'Receipt · ', overview: '' }[state.route.page] + 'Gavel console';
  if (state.me && state.route.page === 'job') job.open(state.route);
  if (state.me && state.route.page === 'order') receiptPage.open(state.route);
  window.scrollTo(0, 0);
  changed();
}

const actions = {
  leave: () => leave(),
  home: () => { location.hash = '#/'; },
  openJob: (id) => { location.hash = `#/jobs/${id}`; },
  show: (what) => { state.show = what; guarded(askJobs)(); },
  by: (what) => { state.by = what; changed(); guarded(askSpend)(); },
  labelKey: (key) => { state.labelKey = key; changed(); guarded(askSpend)(); },
  filter: (text) => { state.filter = text; changed(); },
  dismiss: (id) => { state.kills.delete(id); state.away.add(id); changed(); },
  ordered: (receipt, began) => {
    state.issued.set(receipt.order, began);
    state.kills.set(receipt.order, { ...receipt, stage: 'accepted', verdict: undefined });
    took(receipt);
    watchOrder(receipt.order);
  },
  refresh: () => guarded(askChanges)(),
};

initTheme();
drawWith(view);
dialogs.init(actions);
listen(actions);
at('skip').onclick = (e) => { e.preventDefault(); at('main').focus(); };
window.addEventListener('hashchange', () => { routed(); at('main').focus(); });
if (credential()) enter(credential());
else changed();
