// The overview: what it costs, what runs, who makes it cost, who runs it, what
// changed.

import { blocked, blockText } from './blocks.js';
import { hour } from './chart.js';
import { dialogs } from './dialogs.js';
import { brief, clock, count, h, jobs, money, since, span, words } from './dom.js';
import { may, state } from './state.js';
import { share } from './top.js';

export function overview(actions) {
  if (!may('fleet-read')) return own(actions);
  if (!state.fleet) return h('p', { class: 'dim wait' }, state.feed.problem?.inWords || 'Looking at the fleet…');
  return h('div', { class: state.feed.stale() ? 'grid stale' : 'grid' },
    spend(), load(), blocked(panel), share(actions), workers(), list(actions), changes());
}

export function panel(name, cls, extra, ...body) {
  return h('section', { key: name, class: `panel ${cls}`, 'aria-label': name }, h('header', null, h('h2', null, name), extra), body);
}

function spend() {
  const s = state.spend;
  if (!s?.now) {
    return panel('Spend', 'spend', null, h('p', { class: 'dim none' }, s === false ? 'No spend data: this dispatcher does not offer them.' : 'Asking…'));
  }
  const { now, window: w, breaker } = s;
  const base = now.baseline_micro_usd_per_minute;
  const times = base > 0 ? now.micro_usd_per_minute / base : 0;
  const high = times >= 3;
  return panel('Spend', 'spend', breaker?.tripped && h('span', { class: 'chip bad' }, `breaker tripped ${since(breaker.tripped_at)} ago`),
    h('div', { class: 'money' },
      h('p', { class: high ? 'rate high' : 'rate' }, h('b', { id: 'rate' }, money(now.micro_usd_per_minute)), h('span', null, '/min')),
      h('p', { class: 'dim' }, base > 0 ? `baseline ${money(base)}${times >= 1.5 ? `, ${times.toFixed(times < 10 ? 1 : 0)} × that` : ''}` : 'no baseline yet'),
      cap(w),
      h('dl', { class: 'facts' },
        fact('last 5 min', money(now.last_5m_micro_usd)), fact('today', money(now.today_micro_usd)),
        fact('reserved', money(now.reserved_micro_usd)), fact('estimated', money(now.estimated_micro_usd)))),
    hour(s.minutes || [], base));
}

function cap(w) {
  if (!w || w.cap_micro_usd === null || w.cap_micro_usd === undefined) return h('p', { class: 'cap dim' }, 'no cap on the fleet');
  const part = Math.min(100, (100 * w.spent_micro_usd) / Math.max(w.cap_micro_usd, 1));
  const soon = w.seconds_to_cap !== null && w.seconds_to_cap < 600;
  return h('div', { class: 'cap' },
    h('span', { class: 'meter' }, h('i', { class: soon || part > 85 ? 'bad' : '', 'width%': part })),
    h('p', { class: soon ? 'bad' : 'dim' }, `${money(w.spent_micro_usd)} of ${money(w.cap_micro_usd)}`, w.seconds_to_cap !== null && `, cap in ${span(w.seconds_to_cap)}`));
}

function fact(name, value, cls) {
  return h('div', { class: cls || '' }, h('dt', null, name), h('dd', null, value));
}

function load() {
  const f = state.fleet;
  const j = f.jobs;
  const waiting = [...state.kills.values()].reduce((n, r) => n + r.tally.waiting, 0);
  const full = f.slots > 0 ? Math.min(100, (100 * (j.running || 0)) / f.slots) : 0;
  return panel('Jobs by state', 'load', h('span', { class: 'dim' }, `${count(f.slots)} slots`),
    h('dl', { class: 'stats', id: 'states' },
      fact('running', count(j.running || 0)),
      fact('queued', [count(j.queued || 0), f.queued_oldest_seconds > 0 && h('small', null, `oldest ${span(f.queued_oldest_seconds)}`)]),
      fact('parked', count(j.parked || 0)), fact('delayed', count(j.delayed || 0)),
      fact('held', count(j.held || 0)), fact('killing', count(waiting), waiting > 0 ? 'warn' : ''),
      fact('no progress > 2 min', f.no_progress === undefined ? '–' : count(f.no_progress), f.no_progress > 0 ? 'bad' : ''),
      fact('reclaimed, 5 min', f.reclaimed_5m === undefined ? '–' : count(f.reclaimed_5m), f.reclaimed_5m > 0 ? 'warn' : '')),
    h('p', { class: 'slots dim' }, h('span', { class: 'meter' }, h('i', { 'width%': full })), `${Math.round(full)} % of the slots are taken`));
}

// silence is how alarming it is.
function silence(w) {
  if (w.silent_seconds > 10) return 'bad';
  return w.silent_seconds > 5 ? 'warn' : '';
}

function workers() {
  const f = state.fleet;
  const silent = f.workers.filter((w) => w.silent_seconds > 5).length;
  return panel('Workers', 'workers', h('span', { class: silent ? 'chip bad' : 'dim' }, silent ? `${silent} of ${f.workers.length} silent` : `${f.workers.length} beating`),
    h('div', { class: 'scrolls', tabindex: 0, role: 'group', 'aria-label': 'Table of workers' }, h('table', null,
      h('thead', null, h('tr', null, h('th', null, 'Worker'), h('th', { class: 'n' }, 'Running'), h('th', { class: 'n' }, 'Silent'), h('th', { class: 'n' }, 'Trust left'), h('th', null, ''))),
      h('tbody', null, f.workers.map((w) => h('tr', { key: w.id },
        h('th', { scope: 'row', title: `${w.host}, ${w.version}` }, w.id),
        h('td', { class: 'n' }, `${w.running} / ${w.slots}`),
        h('td', { class: `n ${silence(w)}` }, w.silent_seconds < 0.05 ? 'now' : span(w.silent_seconds)),
        h('td', { class: 'n' }, w.trust_left_seconds === undefined ? '–' : w.trust_left_seconds > 0 ? span(w.trust_left_seconds) : h('span', { class: 'bad' }, w.lease_left_seconds > 0 ? `none; fenced in ${span(w.lease_left_seconds)}` : 'none')),
        h('td', null, w.draining && h('span', { class: 'chip' }, 'draining'), w.deaf > 0 && h('span', { class: 'chip bad' }, `${w.deaf} deaf`), w.no_progress > 0 && h('span', { class: 'chip warn' }, `${w.no_progress} stuck`))))),
      f.workers.length === 0 && h('tbody', null, h('tr', null, h('td', { colspan: 5, class: 'dim' }, 'No worker beats. Nothing can run.'))))));
}

const choices = [['live', 'Live'], ['running', 'Running'], ['dearest', 'Dearest'], ['silent', 'No progress'], ['parked', 'Put aside'], ['ended', 'Ended'], ['all', 'All']];

function matches(j) {
  const text = state.filter.trim().toLowerCase();
  if (!text) return true;
  const all = [j.id, j.owner, j.submitter, j.kind, j.state, j.worker, ...Object.entries(j.labels || {}).map(([k, v]) => `${k}=${v}`)].join(' ').toLowerCase();
  return text.split(/\s+/).every((word) => all.includes(word));
}

function list(actions) {
  const shown = state.jobs.filter(matches);
  return panel('Jobs', 'list', h('span', { class: 'tools' },
    h('input', { id: 'filter', type: 'search', placeholder: 'filter  /', 'aria-label': 'Filter the jobs', value: state.filter || null, oninput: (e) => actions.filter(e.target.value) }),
    may('fleet-read') && h('select', { id: 'show', 'aria-label': 'Which jobs', onchange: (e) => actions.show(e.target.value) }, choices.map(([v, t]) => h('option', { value: v, selected: state.show === v }, t)))),
  h('div', { class: 'scrolls', tabindex: 0, role: 'group', 'aria-label': 'Table of jobs' }, h('table', { id: 'jobs' },
    h('thead', null, h('tr', null, h('th', null, 'Job'), h('th', null, 'State'), h('th', null, 'Owner'), h('th', { class: 'wide' }, 'Kind'), h('th', { class: 'wide' }, 'Labels'), h('th', { class: 'n wide' }, 'Age'), h('th', { class: 'n' }, 'Spent'), h('th', { class: 'wide' }, 'Worker'), h('th', null, ''))),
    h('tbody', null, shown.map((j) => jobRow(j, actions))))),
  shown.length === 0 && h('p', { class: 'dim none' }, !state.listed ? 'Asking…' : state.filter ? 'No job matches the filter.' : 'No jobs.'),
  state.jobs.length >= 100 && h('p', { class: 'dim none' }, state.show === 'dearest' ? 'The dearest 100 of the newest 200 that run are shown.' : 'The newest 100 are shown.'),
  state.show === 'silent' && state.jobs.length < (state.fleet?.no_progress || 0) && h('p', { class: 'dim none' }, 'Each worker names those that are silent the longest.'));
}

function jobRow(j, actions) {
  const kill = () => dialogs.killJob(j);
  return h('tr', { key: j.id, 'data-row': j.id, tabindex: -1, onopen: () => actions.openJob(j.id), onkill: over(j) ? null : kill },
    h('th', { scope: 'row' }, h('a', { class: 'id', href: `#/jobs/${j.id}`, title: j.id }, brief(j.id))),
    h('td', null, stateOf(j)), h('td', null, j.owner), h('td', { class: 'wide' }, j.kind),
    h('td', { class: 'wide' }, Object.entries(j.labels || {}).map(([k, v]) => h('span', { class: 'tag' }, `${k}=${v}`))),
    h('td', { class: 'n wide' }, since(j.created_at)), h('td', { class: 'n' }, money(j.spent_micro_usd)),
    h('td', { class: 'wide' }, j.worker || ''),
    h('td', { class: 'n' }, !over(j) && h('button', { class: 'small', onclick: kill, 'aria-label': `Kill job ${j.id}` }, 'Kill…')));
}

export function over(j) {
  return ['succeeded', 'failed', 'killed'].includes(j.state);
}

export function stateOf(j) {
  const mood = { running: 'go', killing: 'warn', killed: 'bad', failed: 'bad', succeeded: 'good', parked: 'warn' }[j.state] || '';
  return h('span', { class: `state ${mood}` }, j.state, j.park_reason && h('small', null, ` ${words(j.park_reason)}`));
}

function changes() {
  if (!may('audit-read')) return orders();
  return panel('Changes', 'changes', h('span', { class: 'dim' }, 'the audit, newest first'),
    h('ol', { class: 'log scrolls', id: 'changes', tabindex: 0, 'aria-label': 'Changes' }, state.changes.map((e) => {
      const f = e.fields || {};
      const standing = f.scope === 'block';
      const what = (standing && f.on && blockText(f)) || f.job || f.subject || f.owner || f.selector || f.scope || '';
      return h('li', { key: `${e.partition}.${e.n}`, class: e.decision === 'denied' ? 'denied' : '' },
        h('time', { datetime: e.at, title: e.at }, clock(e.at)),
        h('span', null, h('b', null, words(e.act)), e.decision === 'denied' && h('span', { class: 'chip bad' }, `denied: ${e.rule}`), ' ',
          what && h('span', null, what.length === 36 ? h('a', { class: 'id', href: `#/jobs/${what}` }, brief(what)) : what), ' by ', e.who?.subject || '–',
          f.reason && h('q', null, f.reason), f.incident && h('span', { class: 'tag' }, f.incident),
          f.order && !standing && h('a', { href: `#/orders/${f.order}` }, 'receipt')));
    })));
}

function orders() {
  return panel('Orders', 'changes', null,
    h('ol', { class: 'log scrolls', tabindex: 0, 'aria-label': 'Orders' }, state.orders.map((r) => h('li', { key: r.order },
      h('time', { datetime: r.timeline.recorded }, clock(r.timeline.recorded)),
      h('span', null, h('b', null, 'kill'), ` ${r.scope.owner || r.scope.kind}, ${jobs(r.tally.targeted)}, by ${r.actor}`, h('q', null, r.reason), h('a', { href: `#/orders/${r.order}` }, 'receipt'))))));
}

// own is the overview of somebody who sees their own jobs only.
function own(actions) {
  const by = {};
  for (const j of state.jobs) by[j.state] = (by[j.state] || 0) + 1;
  const spent = state.jobs.reduce((n, j) => n + (j.spent_micro_usd || 0), 0);
  return h('div', { class: state.feed.stale() ? 'grid stale' : 'grid' },
    state.spend?.now && spend(),
    panel('Your jobs', 'mine', h('span', { class: 'dim' }, `owner ${state.me.owner || '–'}`),
      h('dl', { class: 'stats' },
        ['running', 'queued', 'parked', 'killing', 'succeeded', 'failed', 'killed'].map((s) => fact(s, count(by[s] || 0))),
        fact(`spent by the ${state.jobs.length >= 100 ? 'newest 100' : 'jobs below'}`, money(spent)))),
    list(actions));
}
