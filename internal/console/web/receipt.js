// Receipts: what an order really did, while it does it and afterwards.

import { get } from './api.js';
import { brief, clock, count, h, jobs, money, span, words } from './dom.js';
import { follow } from './live.js';
import { changed, state, stopped, took } from './state.js';

const verdicts = [['stopped', 'stopped by their workers', 'stopped by its worker'], ['not_running', 'were not running', 'was not running'], ['already_over', 'were over already', 'was over already'], ['fenced', 'fenced'], ['waiting', 'waiting']];

export function scopeText(s) {
  if (s.kind === 'fleet') return 'the whole fleet';
  if (s.kind === 'owner') return `owner ${s.owner}`;
  if (s.kind === 'job') return `job ${brief(s.job)}`;
  const q = s.selector || {};
  return [q.owner && `owner ${q.owner}`, q.submitter && `submitter ${q.submitter}`, q.kind && `kind ${q.kind}`, ...Object.entries(q.labels || {}).map(([k, v]) => `${k}=${v}`),
    q.model && `model ${q.model}`, q.min_age_seconds && `older than ${span(q.min_age_seconds)}`, q.min_spend_micro_usd && `spent ${money(q.min_spend_micro_usd)} or more`].filter(Boolean).join(', ');
}

function bar(t) {
  const total = Math.max(t.targeted, 1);
  return h('span', { class: 'filling', role: 'img', 'aria-label': `${t.targeted - t.waiting} of ${t.targeted} are over` },
    verdicts.filter(([name]) => t[name] > 0).map(([name]) => h('i', { key: name, class: name, 'width%': (100 * t[name]) / total })));
}

function counts(t) {
  return h('ul', { class: 'counts' },
    h('li', null, h('b', null, count(t.targeted)), ' targeted'),
    verdicts.filter(([name]) => t[name] > 0).map(([name, text, one]) => h('li', { key: name, class: name }, h('b', null, count(t[name])), ` ${t[name] === 1 && one || text}`)),
    t.deaf > 0 && h('li', { class: 'bad' }, h('b', null, count(t.deaf)), ' deaf'),
    t.covered_before > 0 && h('li', null, h('b', null, count(t.covered_before)), ' under an earlier order'));
}

function holders(r, most) {
  if (!r.open?.length) return null;
  return h('ul', { class: 'holders' }, r.open.slice(0, most).map((o) => h('li', { key: o.job },
    h('a', { class: 'id', href: `#/jobs/${o.job}` }, brief(o.job)), ` of ${o.owner} on ${o.worker}`, o.verdict === 'deaf' && h('span', { class: 'chip bad' }, 'deaf'),
    o.lease_ends && `, fenced by ${clock(o.lease_ends)} at the latest`)),
  r.open.length > most && h('li', { class: 'dim' }, `and ${r.open.length - most} more`));
}

function verdictText(r) {
  if (!stopped(r)) {
    if (r.stage === 'recording') return 'recording: not every partition has it yet';
    return r.scan?.open_partitions?.length ? `walking: ${count(r.scan.looked)} looked at` : 'stopping';
  }
  const took = state.quiet.get(r.order);
  return took === undefined ? 'quiesced' : `quiesced in ${span(took)}`;
}

// killCard is a kill on the overview, its receipt filling up.
export function killCard(r, actions) {
  const done = stopped(r);
  return h('article', { key: r.order, class: done ? 'kill done' : 'kill', 'data-order': r.order, 'data-stage': done ? 'quiesced' : r.stage },
    h('header', null,
      h('b', null, `Kill of ${scopeText(r.scope)}`), h('span', { class: done ? 'chip good' : 'chip warn' }, verdictText(r)), r.freeze && h('span', { class: 'chip' }, 'froze the fleet'),
      h('span', { class: 'grow' }), h('a', { href: `#/orders/${r.order}` }, 'receipt'),
      done && h('button', { class: 'quiet', onclick: () => actions.dismiss(r.order), 'aria-label': 'Dismiss' }, '×')),
    bar(r.tally), counts(r.tally), holders(r, 3),
    h('p', { class: 'dim' }, `by ${r.actor}: “${r.reason}”`, r.incident && h('span', { class: 'tag' }, r.incident), r.tally.spent_after_micro_usd > 0 && ` ${money(r.tally.spent_after_micro_usd)} booked after the order, by calls in flight.`));
}

const steps = [['requested', 'requested'], ['recorded', 'recorded'], ['delivered', 'delivered to the worker'], ['cancelled', 'its context was cancelled'], ['returned', 'the work returned']];

// timeline is the course of one kill, each step with what it took since the record.
export function timeline(t) {
  const zero = t.recorded && Date.parse(t.recorded);
  return h('ol', { class: 'timeline' }, steps.map(([name, text]) => h('li', { key: name, class: t[name] ? 'done' : '' },
    h('b', null, text), h('span', null, t[name] ? `${clock(t[name])}${name !== 'requested' && name !== 'recorded' && zero ? `  +${Math.max(0, Date.parse(t[name]) - zero)} ms` : ''}` : '–'))));
}

export function receiptPage() {
  const r = state.route.receipt;
  if (!r) return h('p', { class: 'dim wait' }, state.route.problem || 'Reading the receipt…');
  return h('div', { class: 'page' },
    h('p', { class: 'crumbs' }, h('a', { href: '#/' }, 'Overview'), ' / receipt'),
    h('h1', null, `Kill of ${scopeText(r.scope)}`),
    h('section', { class: 'panel', 'aria-label': 'Receipt' },
      h('p', null, h('span', { class: stopped(r) ? 'chip good' : 'chip warn' }, verdictText(r)), r.verdict && h('span', { class: 'chip' }, words(r.verdict)), ` by ${r.actor}: “${r.reason}”`, r.incident && h('span', { class: 'tag' }, r.incident)),
      bar(r.tally), counts(r.tally), holders(r, 100),
      h('p', { class: 'dim' }, stopped(r) ? 'Nobody holds authority over any job that this order covers.' : `${jobs(r.tally.waiting)} still held by a worker. Nothing counts as stopped before it is confirmed.`),
      h('p', { class: 'dim' }, `Booked after the order, by calls in flight: ${money(r.tally.spent_after_micro_usd)}.`),
      timeline(r.timeline), h('p', { class: 'dim id' }, r.order)));
}

receiptPage.open = async (route) => {
  const tell = (r) => { route.receipt = r; if (state.kills.has(r.order)) took(r); changed(); };
  try {
    tell(await get(`/v1/orders/${route.id}`));
    await follow(`/v1/orders/${route.id}/events`, route.signal, (e) => tell(e.data));
  } catch (e) {
    route.problem = e.inWords || String(e);
    changed();
  }
};
