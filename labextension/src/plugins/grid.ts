// Shows results as grids, and what can be done with them.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { copyIcon, downloadIcon, filterIcon } from '@jupyterlab/ui-components';
import type { JSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Menu } from '@lumino/widgets';

import { Wheel } from '../grid/handlers';
import { ResultRenderer } from '../grid/renderer';
import { MIME, type Result } from '../grid/result';
import { type FileForm, ResultGrid } from '../grid/resultgrid';
import { CellSource } from '../grid/source';
import type { Form } from '../grid/text';
import { ISqlNotebooks } from '../tokens';

const COPY = 'pgcellar:copy-result';
const VIEW = 'pgcellar:view-value';
const SORT = 'pgcellar:sort-result';
const FILTER = 'pgcellar:filter-result';
const RESET = 'pgcellar:reset-result';
const DOWNLOAD = 'pgcellar:download-result';

/** Before text/html, which notebooks keep for where this extension is not. */
const RANK = 45;
const FORMS: readonly Form[] = ['tsv', 'csv', 'insert'];
const FILES: readonly FileForm[] = ['csv', 'parquet', 'arrow'];

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:grid',
  description: 'Shows results as grids.',
  autoStart: true,
  requires: [IRenderMimeRegistry, ISqlNotebooks],
  optional: [ITranslator, IThemeManager, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    rendermime: IRenderMimeRegistry,
    notebooks: ISqlNotebooks,
    translator: ITranslator | null,
    themes: IThemeManager | null,
    palette: ICommandPalette | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    const { commands } = app;
    const wheel = new Wheel();
    const grids = new Set<ResultGrid>();
    let current: ResultGrid | null = null;

    const downloads = new Menu({ commands });
    const menu = new Menu({ commands });

    rendermime.addFactory({
      safe: true,
      mimeTypes: [MIME],
      defaultRank: RANK,
      createRenderer: options =>
        new ResultRenderer(options, (result: Result, within) => {
          const grid: ResultGrid = new ResultGrid(result, {
            wheel,
            trans,
            source: new CellSource(within, result, notebooks, trans),
            downloads: at => {
              const { left, bottom } = at.getBoundingClientRect();
              current = grid;
              downloads.open(left, bottom);
            },
            menu: (x, y) => {
              current = grid;
              menu.open(x, y);
            }
          });
          grids.add(grid);
          const take = (): void => {
            current = grid;
          };
          grid.node.addEventListener('focusin', take);
          grid.disposed.connect(() => {
            grids.delete(grid);
            current = current === grid ? null : current;
          });
          return grid;
        })
    });
    themes?.themeChanged.connect(() => grids.forEach(grid => grid.restyle()));

    const isEnabled = (): boolean => current !== null;
    const labels: Record<Form | FileForm, string> = {
      tsv: trans.__('Copy with Names'),
      csv: trans.__('CSV'),
      insert: trans.__('Copy as INSERT Statements'),
      arrow: trans.__('Arrow'),
      parquet: trans.__('Parquet')
    };
    const copyForm = (args: ReadonlyPartialJSONObject): Form =>
      FORMS.find(form => form === args.form) ?? 'tsv';
    const fileForm = (args: ReadonlyPartialJSONObject): FileForm =>
      FILES.find(form => form === args.form) ?? 'csv';
    commands.addCommand(COPY, {
      label: args => (args.form === 'csv' ? trans.__('Copy as CSV') : labels[copyForm(args)]),
      icon: copyIcon,
      isEnabled,
      execute: args => current?.copy(copyForm(args))
    });
    commands.addCommand(VIEW, {
      label: trans.__('View Value'),
      isEnabled,
      execute: () => current?.open()
    });
    commands.addCommand(SORT, {
      label: args => (args.descending ? trans.__('Sort Descending') : trans.__('Sort Ascending')),
      isEnabled,
      execute: args => current?.sort(args.descending === true)
    });
    commands.addCommand(FILTER, {
      label: trans.__('Filter by This Column…'),
      icon: filterIcon,
      isEnabled,
      execute: () => current?.filter()
    });
    commands.addCommand(RESET, {
      label: trans.__('Remove Filters and Order'),
      isEnabled,
      execute: () => current?.reset()
    });
    commands.addCommand(DOWNLOAD, {
      label: args => trans.__('Download All Rows as %1', labels[fileForm(args)]),
      icon: downloadIcon,
      isEnabled,
      execute: args => current?.download(fileForm(args))
    });

    type Item = readonly [string, JSONObject];
    const files = FILES.map((form): Item => [DOWNLOAD, { form }]);
    const groups: readonly (readonly Item[])[] = [
      FORMS.map((form): Item => [COPY, { form }]),
      [[VIEW, {}]],
      [
        [SORT, { descending: false }],
        [SORT, { descending: true }],
        [FILTER, {}],
        [RESET, {}]
      ],
      files
    ];
    for (const [command, args] of files) {
      downloads.addItem({ command, args });
    }
    for (const group of groups) {
      if (menu.items.length > 0) {
        menu.addItem({ type: 'separator' });
      }
      for (const [command, args] of group) {
        menu.addItem({ command, args });
        palette?.addItem({ command, args, category: trans.__('SQL Notebook') });
      }
    }
  }
};

export default plugin;
