// The box in which a person says what of a column is to be seen.

import type { TranslationBundle } from '@jupyterlab/translation';

import type { Column } from '../wire';
import { isNumeric } from './result';
import { visible } from './text';
import type { Filter, Operator } from './view';

const NEEDS_NONE: readonly Operator[] = ['null', 'not_null'];

/** Open the box below a header; `done` gets the filter, null for none, or undefined: no change. */
export function openFilter(
  host: HTMLElement,
  left: number,
  column: Column,
  index: number,
  now: Filter | undefined,
  trans: TranslationBundle,
  done: (filter: Filter | null | undefined) => void
): void {
  const box = document.createElement('form');
  box.className = 'pgc-FilterBox';
  box.setAttribute('role', 'dialog');
  box.setAttribute('aria-label', trans.__('Filter %1', visible(column.name)));
  const operator = document.createElement('select');
  operator.className = 'jp-mod-styled';
  operator.setAttribute('aria-label', trans.__('Comparison'));
  for (const [name, label] of labels(trans)) {
    operator.add(new Option(label, name));
  }
  operator.value = now?.operator ?? (isNumeric(column) ? 'eq' : 'contains');
  const value = document.createElement('input');
  value.className = 'jp-mod-styled';
  value.type = 'text';
  value.value = now?.value ?? '';
  value.placeholder = trans.__('Value');
  value.setAttribute('aria-label', trans.__('Value'));
  const apply = button(trans.__('Apply'), 'submit', 'jp-mod-accept');
  const clear = button(trans.__('Clear'), 'button', 'jp-mod-reject');
  clear.disabled = !now;
  box.append(operator, value, apply, clear);

  const away = (event: Event): void => {
    if (event.target instanceof Node && !box.contains(event.target)) {
      close(undefined, false);
    }
  };
  const close = (filter: Filter | null | undefined, back = true): void => {
    document.removeEventListener('pointerdown', away, true);
    document.removeEventListener('focusin', away, true);
    if (box.isConnected) {
      box.remove();
      if (back) {
        done(filter);
      }
    }
  };
  const chosen = (): Operator => operator.value as Operator;
  const adapt = (): void => {
    value.disabled = NEEDS_NONE.includes(chosen());
  };
  operator.addEventListener('change', adapt);
  clear.addEventListener('click', () => close(null));
  box.addEventListener('submit', event => {
    event.preventDefault();
    const none = NEEDS_NONE.includes(chosen());
    close({ column: index, operator: chosen(), value: none ? null : value.value });
  });
  box.addEventListener('keydown', event => {
    event.stopPropagation();
    if (event.key === 'Escape') {
      close(undefined);
    }
  });
  host.querySelector('.pgc-FilterBox')?.remove();
  host.append(box);
  box.style.left = `${Math.max(0, Math.min(left, host.clientWidth - box.offsetWidth - 4))}px`;
  adapt();
  (value.disabled ? operator : value).focus();
  // A click beside it, or the focus going elsewhere, closes it.
  document.addEventListener('pointerdown', away, true);
  document.addEventListener('focusin', away, true);
}

function button(label: string, type: 'submit' | 'button', kind: string): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = type;
  made.className = `jp-mod-styled ${kind}`;
  made.textContent = label;
  return made;
}

/** What each comparison is called. */
export function labels(trans: TranslationBundle): Map<Operator, string> {
  return new Map<Operator, string>([
    ['contains', trans.__('contains')],
    ['eq', '='],
    ['ne', '≠'],
    ['lt', '<'],
    ['le', '≤'],
    ['gt', '>'],
    ['ge', '≥'],
    ['null', trans.__('is null')],
    ['not_null', trans.__('is not null')]
  ]);
}
