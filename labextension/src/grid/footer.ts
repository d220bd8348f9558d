// Below a grid: how many rows there are, what is wrong, and what can be done.

import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, copyIcon, downloadIcon, LabIcon, runIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import { duration } from '../units';
import type { Column } from '../wire';
import { labels } from './filterbox';
import type { Result } from './result';
import type { Rows } from './rows';
import { oneLine } from './text';
import { filterBy, isPlain, PLAIN, type View } from './view';

const chartIcon = new LabIcon({
  name: 'pgcellar:chart',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<path class="jp-icon3" fill="#616161" d="M4 20V10h4v10zm6 0V4h4v16zm6 0v-7h4v7z"/></svg>'
});

export interface FooterActs {
  copy(): void;
  download(at: HTMLElement): void;
  chart(): void;
  show(view: View): void;
  run(): void;
}

/** A button beside what is said. */
export interface Offer {
  readonly label: string;
  readonly icon: LabIcon;
  act(): void;
}

export class Footer extends Widget {
  constructor(
    private readonly _result: Result,
    private readonly _rows: Rows,
    private readonly _acts: FooterActs,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('pgc-Footer');
    this._count.className = 'pgc-Footer-count';
    this._about.className = 'pgc-Footer-about';
    this._said.className = 'pgc-Footer-said';
    this._said.setAttribute('role', 'status');
    this._chips.className = 'pgc-Footer-chips';
    const tools = document.createElement('span');
    tools.className = 'pgc-Footer-tools';
    const copy = tool(_trans.__('Copy selection'), copyIcon, () => _acts.copy());
    const download = tool(_trans.__('Download all rows'), downloadIcon, () =>
      _acts.download(download)
    );
    download.setAttribute('aria-haspopup', 'menu');
    const chart = tool(_trans.__('Draw a chart'), chartIcon, () => _acts.chart());
    tools.append(copy, download, chart);
    this.node.append(this._count, this._about, this._chips, this._said, tools);
    this.update();
  }

  /** Say something; it stays until something else is said. */
  say(text: string, kind: 'plain' | 'error' = 'plain', offer?: Offer): void {
    this._said.textContent = text;
    this._said.classList.toggle('pgc-mod-error', kind === 'error');
    if (offer) {
      this._said.append(tool(offer.label, offer.icon, () => offer.act()));
    }
  }

  /** Show what stands now. */
  refresh(): void {
    const { _rows: rows, _trans: trans } = this;
    const number = (count: number): string => count.toLocaleString();
    const counted = trans._n('%2 row', '%2 rows', rows.total, number(rows.total));
    if (this._result.row_count === null) {
      this._count.textContent = '';
    } else if (rows.view.filters.length > 0) {
      this._count.textContent = trans.__(
        '%1 of %2 rows match',
        number(rows.total),
        number(this._result.row_count)
      );
    } else if (rows.count < rows.total) {
      this._count.textContent = trans.__('%1 of %2', number(rows.count), counted);
    } else {
      this._count.textContent = counted;
    }
    const { command, ms } = this._result;
    this._about.textContent = [oneLine(command), duration(ms, trans)].filter(Boolean).join(' · ');
    this._showChips();
    if (rows.isChanging) {
      this.say(trans.__('Sorting and filtering…'));
    } else if (rows.message) {
      const run = { label: trans.__('Run the cell'), icon: runIcon, act: () => this._acts.run() };
      this.say(rows.message, 'error', rows.isOutdated ? run : undefined);
    }
  }

  private _showChips(): void {
    const { view } = this._rows;
    const names = labels(this._trans);
    const chips = view.filters.map(filter => {
      const { name } = this._result.columns[filter.column] as Column;
      const value = filter.value === null ? '' : oneLine(filter.value).slice(0, 40);
      const text = `${oneLine(name)} ${names.get(filter.operator) ?? ''} ${value}`.trim();
      const label = this._trans.__('Remove the filter “%1”', text);
      return chip(text, label, () => this._acts.show(filterBy(view, filter.column, null)));
    });
    if (!isPlain(view)) {
      const text = this._trans.__('As it was');
      const label = this._trans.__('Remove filters and order');
      chips.push(chip(text, label, () => this._acts.show(PLAIN)));
    }
    this._chips.replaceChildren(...chips);
  }

  private readonly _count = document.createElement('span');
  private readonly _about = document.createElement('span');
  private readonly _said = document.createElement('span');
  private readonly _chips = document.createElement('span');
}

function tool(label: string, icon: LabIcon, act: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = 'pgc-Tool jp-Button';
  made.title = label;
  made.setAttribute('aria-label', label);
  made.append(icon.element({ tag: 'span', elementSize: 'small' }));
  made.addEventListener('click', act);
  return made;
}

function chip(text: string, label: string, act: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = 'pgc-Chip';
  made.title = label;
  made.setAttribute('aria-label', label);
  const name = document.createElement('bdi');
  name.textContent = text;
  made.append(name, closeIcon.element({ tag: 'span', elementSize: 'small' }));
  made.addEventListener('click', act);
  return made;
}
