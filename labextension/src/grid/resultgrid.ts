// The result of a statement as a grid: scrolled, sorted, filtered, copied and downloaded.

import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import { BasicSelectionModel, DataGrid } from '@lumino/datagrid';
import { MessageLoop } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';

import { askForChart } from './charting';
import { openFilter } from './filterbox';
import { Footer } from './footer';
import { type Acts, Keys, Mouse, type Wheel } from './handlers';
import {
  bodyRenderer,
  HEADER_HEIGHT,
  HeaderRenderer,
  lookOf,
  numberRenderer,
  ROW_HEIGHT,
  widths
} from './look';
import { ResultModel } from './model';
import type { Result } from './result';
import { Rows } from './rows';
import { parts } from './selection';
import type { CellSource } from './source';
import { Speaking } from './speaking';
import { copied, csvHeader, csvLines, type Form } from './text';
import { filterBy, sortBy, sortNext, type View } from './view';
import { showValue } from './viewer';

/** Rows that are seen without scrolling. */
const MAX_VISIBLE = 16;
/** Milliseconds from when a row is missed until those that are seen by then are asked for. */
const PAUSE = 40;
/** Rows that are copied at most; there is the download for more. */
const MAX_COPIED = 100_000;
const SCROLLBAR = 17;
/** Pixels that a column is made no narrower than. */
const NARROWEST = 30;

export type FileForm = 'csv' | 'arrow' | 'parquet';

export interface GridOptions {
  readonly wheel: Wheel;
  readonly trans: TranslationBundle;
  /** Where pages come from; null where there is no kernel of ours. */
  readonly source: CellSource | null;
  /** Opens the menu of downloads. */
  readonly downloads: (at: HTMLElement) => void;
  /** Opens the menu of what can be done with what is selected. */
  readonly menu: (x: number, y: number) => void;
}

export class ResultGrid extends Panel {
  constructor(
    private readonly _result: Result,
    private readonly _options: GridOptions
  ) {
    super();
    this.addClass('pgc-Result');
    const { trans, source } = _options;
    this._rows = new Rows(_result, source, trans);
    this._model = new ResultModel(_result.columns, this._rows, () => this._soon());
    this._grid = new DataGrid({
      defaultSizes: {
        rowHeight: ROW_HEIGHT,
        columnWidth: 100,
        rowHeaderWidth: 14 + 8 * String(this._rows.count).length,
        columnHeaderHeight: HEADER_HEIGHT
      },
      minimumSizes: {
        rowHeight: ROW_HEIGHT,
        columnWidth: NARROWEST,
        rowHeaderWidth: 24,
        columnHeaderHeight: HEADER_HEIGHT
      }
    });
    this._grid.addClass('pgc-Grid');
    // On the node that has the focus: shortcuts are looked for from there on.
    this._grid.viewport.node.dataset.lmSuppressShortcuts = 'true';
    this._grid.dataModel = this._model;
    this._grid.selectionModel = new BasicSelectionModel({ dataModel: this._model });
    this._grid.mouseHandler = new Mouse(this._acts, _options.wheel);
    this._grid.keyHandler = new Keys(this._acts);
    this._footer = new Footer(
      _result,
      this._rows,
      {
        copy: () => void this.copy('tsv'),
        download: _options.downloads,
        chart: () => void this.chart(),
        show: view => void this._show(view),
        run: () => void this._try(async () => source?.run())
      },
      trans
    );
    this.addWidget(this._grid);
    this.addWidget(this._footer);
    this._speaking = new Speaking(this._grid, _result.columns, this._rows, trans);
    this._rows.changed.connect(this._onRows, this);
    this._grid.selectionModel.changed.connect(() => this._speaking.update());
    this.restyle();
    widths(lookOf(document.body), _result.columns, _result.rows).forEach((width, index) => {
      this._grid.resizeColumn('body', index, width);
    });
    this._footer.refresh();
    this._size();
    this._observer.observe(this.node);
    // A saved output may be attached without the message on which the grid begins to listen.
    for (const type of [
      'keydown',
      'mousedown',
      'mousemove',
      'mouseleave',
      'dblclick',
      'contextmenu'
    ]) {
      this._grid.viewport.node.addEventListener(type, this._grid);
    }
    this._grid.node.addEventListener('wheel', this._grid);
    this._grid.node.addEventListener('contextmenu', event => {
      // With Shift comes the browser's own, as elsewhere in JupyterLab.
      if (!event.shiftKey) {
        event.preventDefault();
        event.stopPropagation();
        _options.menu(event.clientX, event.clientY);
      }
    });
  }

  /** Look as the theme says. */
  restyle(): void {
    const look = lookOf(document.body);
    const header = new HeaderRenderer(look, this._result.columns, () => this._rows.view);
    this._grid.style = look.style;
    this._grid.cellRenderers.update({
      body: bodyRenderer(look, this._result.columns),
      'column-header': header,
      'row-header': numberRenderer(look),
      'corner-header': numberRenderer(look)
    });
  }

  /** Sort by the column of the cursor. */
  sort(descending: boolean): void {
    void this._show(sortBy(this._rows.wanted, this._column, descending));
  }

  /** Ask for a filter of the column of the cursor. */
  filter(): void {
    this._acts.filter(this._column);
  }

  /** See the result as the statement gave it. */
  reset(): void {
    void this._show({ order: [], filters: [] });
  }

  /** Show the value of the cell that the cursor is on. */
  open(): void {
    const model = this._grid.selectionModel;
    if (model && model.cursorRow >= 0) {
      void this._open(model.cursorRow, Math.max(0, model.cursorColumn));
    }
  }

  /** Copy what is selected, or everything where nothing is. */
  async copy(form: Form): Promise<void> {
    const { trans } = this._options;
    const columns = this._result.columns;
    let selected = parts(this._grid.selectionModel, this._rows.count, columns.length);
    if (selected.length === 0) {
      selected = [
        {
          firstRow: 0,
          lastRow: this._rows.count - 1,
          firstColumn: 0,
          lastColumn: columns.length - 1
        }
      ];
    }
    const count = selected.reduce((sum, part) => sum + part.lastRow - part.firstRow + 1, 0);
    if (count > MAX_COPIED) {
      const most = MAX_COPIED.toLocaleString();
      this._footer.say(trans.__('At most %1 rows can be copied; download them.', most), 'error');
      return;
    }
    await this._try(async () => {
      const texts: string[] = [];
      for (const { firstRow, lastRow, firstColumn, lastColumn } of selected) {
        const rows = await this._rows.range(firstRow, lastRow);
        const cut = rows.map(row => row.slice(firstColumn, lastColumn + 1));
        texts.push(copied(form, columns.slice(firstColumn, lastColumn + 1), cut));
      }
      await toClipboard(texts.join('\n'));
      this._footer.say(trans._n('%2 row copied', '%2 rows copied', count, count.toLocaleString()));
    });
  }

  /** Have the rows drawn, below the grid. */
  async chart(): Promise<void> {
    const { source, trans } = this._options;
    const chart = source && (await askForChart(this._result.columns, trans));
    if (!chart) {
      return;
    }
    try {
      await source.draw(chart);
    } catch (reason) {
      this._footer.say((reason as Error).message, 'error');
    }
  }

  /** Have all rows, as they are sorted and filtered, as a file. */
  async download(form: FileForm): Promise<void> {
    const { trans, source } = this._options;
    await this._try(async () => {
      if (form === 'csv') {
        await this._downloadCsv();
        return;
      }
      if (!source) {
        throw new Error(trans.__('The kernel makes this file, and there is none here.'));
      }
      this._footer.say(trans.__('The file is being made…'));
      const answer = await source.ask<{ state: string; file: string; media_type: string }>(
        'download',
        this._rows.view,
        { form }
      );
      const bytes = Uint8Array.from(atob(answer.file), character => character.charCodeAt(0));
      save(new Blob([bytes], { type: answer.media_type }), `result.${form}`);
      this._footer.say(trans.__('Downloaded'));
    });
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._downloading.cancelled = true;
    this._observer.disconnect();
    clearTimeout(this._looking);
    this._rows.dispose();
    super.dispose();
  }

  private async _downloadCsv(): Promise<void> {
    const { trans } = this._options;
    const pieces = [csvHeader(this._result.columns)];
    let count = 0;
    const asked = { cancelled: false };
    this._downloading = asked;
    for await (const rows of this._rows.all()) {
      if (asked.cancelled) {
        this._footer.say(trans.__('Cancelled'));
        return;
      }
      pieces.push(csvLines(rows));
      count += rows.length;
      const [now, total] = [count.toLocaleString(), this._rows.total.toLocaleString()];
      this._footer.say(trans.__('%1 of %2 rows', now, total), 'plain', {
        label: trans.__('Cancel'),
        icon: closeIcon,
        act: () => {
          asked.cancelled = true;
        }
      });
    }
    save(new Blob(pieces, { type: 'text/csv;charset=utf-8' }), 'result.csv');
    const said = trans._n('%2 row downloaded', '%2 rows downloaded', count, count.toLocaleString());
    this._footer.say(said);
  }

  private get _column(): number {
    return Math.max(0, this._grid.selectionModel?.cursorColumn ?? 0);
  }

  private readonly _acts: Acts = {
    sort: (column, more) => void this._show(sortNext(this._rows.wanted, column, more)),
    filter: column => {
      this._grid.scrollToColumn(column);
      const left =
        this._grid.headerWidth + this._grid.columnOffset('body', column) - this._grid.scrollX;
      const now = this._rows.wanted.filters.find(filter => filter.column === column);
      const { columns } = this._result;
      const named = columns[column];
      if (!named) {
        return;
      }
      // The grid that a click activated takes the focus now, not from the box.
      MessageLoop.flush();
      openFilter(this.node, left, named, column, now, this._options.trans, filter => {
        this._grid.activate();
        if (filter !== undefined) {
          void this._show(filterBy(this._rows.wanted, column, filter));
        }
      });
    },
    widen: (column, by) => {
      const width = this._grid.columnSize('body', column) + by;
      this._grid.resizeColumn('body', column, Math.max(NARROWEST, width));
    },
    open: (row, column) => void this._open(row, column),
    copy: () => void this.copy('tsv'),
    leave: () => {
      // To the notebook, whose keys work again.
      this.node.closest<HTMLElement>('.jp-Notebook')?.focus();
    }
  };

  private async _open(row: number, column: number): Promise<void> {
    const named = this._result.columns[column];
    await this._try(async () => {
      const [found] = await this._rows.range(row, row);
      const value = found?.[column];
      if (named && value !== undefined) {
        if (await showValue(named, row, value, this._options.trans)) {
          await toClipboard(value ?? '');
        }
        this._grid.activate();
      }
    });
  }

  private async _show(view: View): Promise<void> {
    await this._try(async () => {
      await this._rows.show(view);
      this._grid.selectionModel?.clear();
      this._grid.scrollTo(this._grid.scrollX, 0);
      this._footer.say('');
      this._model.refreshHeaders();
      this._onRows();
    });
  }

  private async _try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (reason) {
      this._footer.say(reason instanceof Error ? reason.message : String(reason), 'error');
    }
  }

  private _onRows(): void {
    this.node.setAttribute('aria-busy', String(this._rows.isChanging));
    this.toggleClass('pgc-mod-changing', this._rows.isChanging);
    this._model.refresh();
    this._footer.refresh();
    this._speaking.update();
  }

  /** Rows are seen that are not here: have those that are seen in a moment. */
  private _soon(): void {
    if (!this._looking) {
      this._looking = window.setTimeout(() => this._look(), PAUSE);
    }
  }

  private _look(): void {
    this._looking = 0;
    if (!this.isDisposed && this._grid.isVisible) {
      const first = Math.floor(this._grid.scrollY / ROW_HEIGHT);
      this._rows.look(first, first + Math.ceil(this._grid.pageHeight / ROW_HEIGHT));
    }
  }

  private _size(): void {
    const rows = Math.max(1, Math.min(MAX_VISIBLE, this._rows.count));
    const scrolls = this._grid.totalWidth > this.node.clientWidth ? SCROLLBAR : 0;
    this._grid.node.style.height = `${HEADER_HEIGHT + rows * ROW_HEIGHT + scrolls + 3}px`;
    MessageLoop.sendMessage(this._grid, Widget.ResizeMessage.UnknownSize);
  }

  private readonly _rows: Rows;
  private readonly _model: ResultModel;
  private readonly _grid: DataGrid;
  private readonly _footer: Footer;
  private readonly _speaking: Speaking;
  private readonly _observer = new ResizeObserver(() => this._size());
  private _looking = 0;
  private _downloading = { cancelled: false };
}

async function toClipboard(text: string): Promise<void> {
  if (window.isSecureContext) {
    await navigator.clipboard.writeText(text);
  } else {
    Clipboard.copyToSystem(text);
  }
}

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Once the browser has taken it.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
