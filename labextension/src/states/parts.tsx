// Small parts that the panels are made of.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { KeptStates } from './kept';

interface ButtonProps {
  readonly icon: LabIcon;
  readonly label: string;
  readonly onClick: () => void;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
}

/** A button that shows an icon, and says by its label what it does. */
export function IconButton(props: ButtonProps): React.JSX.Element {
  const { icon, label, onClick, pressed, disabled } = props;
  return (
    <button
      type="button"
      className="pgc-IconButton"
      title={label}
      aria-label={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      <icon.react tag="span" width="14px" height="14px" />
    </button>
  );
}

/** Words instead of something, or about it. */
export function Words({
  children,
  error = false,
  busy = false
}: {
  readonly children: React.ReactNode;
  readonly error?: boolean;
  readonly busy?: boolean;
}): React.JSX.Element {
  const kind = error ? ' pgc-mod-error' : busy ? ' pgc-mod-busy' : '';
  return (
    <p className={`pgc-Words${kind}`} role={error ? 'alert' : 'status'}>
      {children}
    </p>
  );
}

/** What is said while no states are known, since they are asked for, or there is no sandbox yet. */
export function Unstarted({
  kept,
  trans
}: {
  readonly kept: KeptStates;
  readonly trans: TranslationBundle;
}): React.JSX.Element | null {
  if (!kept.known) {
    return kept.fault === null ? <Words busy>{trans.__('Looking …')}</Words> : null;
  }
  return (
    <Words>
      {trans.__('Your sandbox has not started. It starts when you run a cell; its states stay.')}{' '}
      <button
        className="pgc-TextButton"
        type="button"
        onClick={() => void kept.refresh({ start: true })}
      >
        {trans.__('Start it now')}
      </button>
    </Words>
  );
}

/** Put the keyboard into a panel: to where it was left, or to its first part. */
export function focusIn(panel: HTMLElement): void {
  const found =
    panel.querySelector<HTMLElement>('[tabindex="0"], input') ??
    panel.querySelector<HTMLElement>('button');
  found?.focus();
}
