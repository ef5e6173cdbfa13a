// Who makes it cost: the shares by what one can act on.

import { dialogs } from './dialogs.js';
import { count, h, money } from './dom.js';
import { panel } from './overview.js';
import { may, state } from './state.js';

const dimensions = ['owner', 'submitter', 'kind', 'model', 'label', 'worker', 'version'];

// rows are the shares: of the spend data where there are some for this
// dimension, else of the running jobs that were listed.
function rows() {
  const s = state.spend;
  if (s && s.asked === state.by && s.top?.length) {
    return s.top.map((t) => ({ name: state.by === 'label' ? `${labelKey()}=${t.name}` : t.name, rate: t.micro_usd_per_minute, recent: t.last_5m_micro_usd, today: t.today_micro_usd, running: t.running }));
  }
  const sums = new Map();
  for (const j of state.running) {
    for (const name of names(j)) {
      const sum = sums.get(name) || { name, running: 0, spent: 0 };
      sum.running++;
      sum.spent += j.spent_micro_usd || 0;
      sums.set(name, sum);
    }
  }
  return [...sums.values()].sort((a, b) => b.spent - a.spent || b.running - a.running);
}

function names(j) {
  switch (state.by) {
    case 'owner': return [j.owner];
    case 'submitter': return [j.submitter];
    case 'kind': return [j.kind];
    case 'version': return [state.fleet?.workers.find((w) => w.id === j.worker)?.version].filter(Boolean);
    case 'worker': return j.worker ? [j.worker] : [];
    case 'label': return labelKey() in (j.labels || {}) ? [`${labelKey()}=${j.labels[labelKey()]}`] : [];
    default: return [];
  }
}

// labelKeys are the keys of the labels of what runs, the most frequent first.
function labelKeys() {
  const keys = new Map();
  for (const j of state.running) for (const k of Object.keys(j.labels || {})) keys.set(k, (keys.get(k) || 0) + 1);
  return [...keys].sort((a, b) => b[1] - a[1]).map(([k]) => k);
}

// labelKey is the one that the shares are about.
export function labelKey() {
  return state.labelKey || labelKeys()[0] || '';
}

// wanted is what an order over a row would select; null where none can.
function wanted(name) {
  switch (state.by) {
    case 'owner': return { owner: name };
    case 'submitter': return { submitter: name };
    case 'kind': return { kind: name };
    case 'model': return { model: name };
    case 'label': return { labels: name };
    default: return null;
  }
}

// blockable opens the block of a row, where there can be one.
function blockable(name) {
  const cut = name.indexOf('=');
  const label = state.by === 'label' && cut > 0;
  if (!may('block') || !(label || ['owner', 'kind'].includes(state.by))) return null;
  return () => dialogs.block(label ? { on: 'label', label: name.slice(0, cut), value: name.slice(cut + 1) } : { on: state.by, value: name });
}

const nothing = {
  worker: 'Jobs of one worker are not selected by an order: the work moves. Drain the worker instead.',
  version: 'Of the workers that are here. Jobs of one version are not selected by an order: roll it back, and a drain hands its jobs to others.',
};

export function share(actions) {
  const all = rows();
  const paid = all.some((r) => r.rate !== undefined);
  const weigh = (r) => (paid ? r.rate : r.spent) || 0;
  const total = all.reduce((n, r) => n + weigh(r), 0);
  return panel('Top', 'top',
    h('span', { class: 'tabs', role: 'tablist', 'aria-label': 'By' }, dimensions.map((d) => h('button', {
      role: 'tab', id: `by-${d}`, 'aria-selected': String(state.by === d), 'aria-controls': 'top', tabindex: state.by === d ? 0 : -1, onclick: () => actions.by(d),
    }, d))),
    state.by === 'label' && labelKeys().length > 1 && h('p', { class: 'none' }, h('label', { for: 'label-key' }, 'Label '), h('select', { id: 'label-key', onchange: (e) => actions.labelKey(e.target.value) }, labelKeys().map((k) => h('option', { value: k, selected: k === labelKey() }, k)))),
    h('div', { id: 'top', role: 'tabpanel', 'aria-labelledby': `by-${state.by}`, class: 'scrolls', tabindex: 0 }, h('table', null,
      h('thead', null, h('tr', null, h('th', null, state.by), h('th', { class: 'n' }, paid ? '$ / min' : 'spent'), h('th', { class: 'n wide' }, 'share'), paid && h('th', { class: 'n wide' }, '5 min'), paid && h('th', { class: 'n wide' }, 'today'), h('th', { class: 'n' }, 'running'), h('th', null, ''))),
      h('tbody', null, all.slice(0, 10).map((r, i) => row(r, i, paid, total ? weigh(r) / total : 0))))),
    all.length === 0 && h('p', { class: 'dim none' }, state.by === 'model' && !paid ? 'No spend data by model.' : 'Nothing runs.'),
    nothing[state.by] && all.length > 0 && h('p', { class: 'dim none' }, nothing[state.by]));
}

function row(r, i, paid, part) {
  const what = wanted(r.name);
  const kill = what && may('kill-selector') ? () => dialogs.kill(what) : null;
  return h('tr', { key: r.name, 'data-row': r.name, tabindex: i === 0 ? 0 : -1, onkill: kill, onopen: kill, onblock: blockable(r.name) },
    h('th', { scope: 'row', class: 'name' }, h('i', { class: part > 0.5 ? 'part high' : 'part', 'width%': Math.round(part * 100) }), h('span', null, r.name || '–')),
    h('td', { class: 'n' }, money(paid ? r.rate : r.spent)), h('td', { class: 'n wide' }, `${Math.round(part * 100)} %`),
    paid && h('td', { class: 'n wide' }, money(r.recent)), paid && h('td', { class: 'n wide' }, money(r.today)),
    h('td', { class: 'n' }, count(r.running)),
    h('td', { class: 'n' }, kill && h('button', { class: 'small', onclick: kill, 'aria-label': `Kill these: ${state.by} ${r.name}` }, 'Kill these…')));
}
