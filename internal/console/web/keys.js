// The keyboard: everything can be done with it alone.

import { dialogs } from './dialogs.js';
import { at, state } from './state.js';

export const help = [
  ['h', 'freeze: hold everything that is not running yet'],
  ['t', 'thaw: open the gate again, at a rate if you like; on an open gate set the rate'],
  ['k', 'kill what is selected, or say what; a preview comes first'],
  ['b', 'block an owner, a kind or a label until it is lifted'],
  ['r', 'on a job: resume it, or go on from a checkpoint of it'],
  ['a', 'after Redis lost data: adopt what is there'],
  ['K', 'kill ALL, after typing the name of the fleet'],
  ['↑ ↓', 'move through the rows of a table; Tab goes from table to table'],
  ['Enter', 'open the selected row'],
  ['← →', 'change what the shares are broken down by'],
  ['/', 'filter the jobs'],
  ['Esc', 'close a dialog, leave a field, go back to the overview'],
  ['d', 'dark or light'],
  ['?', 'this help'],
];

export function listen(actions) {
  const keys = {
    h: () => dialogs.freeze(),
    t: () => dialogs.thaw(),
    k: () => killSelected(),
    K: () => dialogs.killAll(),
    b: () => (row()?.onblock || (() => dialogs.block({})))(),
    r: () => dialogs.resume(state.route.job),
    a: () => dialogs.adopt(),
    d: () => at('theme')?.click(),
    '?': () => dialogs.help(help),
    '/': () => at('filter')?.focus(),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => row()?.onopen?.(),
    Escape: () => (row() ? row().blur() : actions.home()),
  };
  document.addEventListener('keydown', (e) => {
    if (!state.me || e.ctrlKey || e.metaKey || e.altKey || at('dialog').open) return;
    if (e.target.closest('input, select, textarea')) {
      if (e.key === 'Escape') e.target.blur();
      return;
    }
    if (e.key === 'Enter' && e.target !== row()) return; // a button's or a link's own
    if ((e.key === 'ArrowLeft' || e.key === 'ArrowRight') && e.target.role === 'tab') {
      tab(e.target, e.key === 'ArrowRight' ? 1 : -1);
      e.preventDefault();
      return;
    }
    const act = keys[e.key];
    if (!act) return;
    if (e.key.startsWith('Arrow') && e.target.closest('.scrolls')) return;
    e.preventDefault();
    act();
  });
}

function tab(from, step) {
  const tabs = [...from.parentNode.querySelectorAll('[role=tab]')];
  const next = tabs[(tabs.indexOf(from) + step + tabs.length) % tabs.length];
  next.click();
  next.focus();
}

// row is the table row that has the focus, or what is in it.
function row() {
  return document.activeElement?.closest('[data-row]');
}

function move(step) {
  const now = row();
  const rows = [...(now ? now.parentNode : document).querySelectorAll('[data-row]')];
  const next = now ? rows[rows.indexOf(now) + step] : rows[step > 0 ? 0 : rows.length - 1];
  next?.focus();
}

function killSelected() {
  const selected = row();
  if (selected?.onkill) selected.onkill();
  else if (state.route.page === 'job') dialogs.killJob(state.route.job);
  else dialogs.kill({});
}
