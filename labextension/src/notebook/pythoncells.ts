// Which `%%pgcellar` cells stand above one of a Python notebook: its kernel is told before one runs.

import type { ICellModel } from '@jupyterlab/cells';
import type { CellList } from '@jupyterlab/notebook';

const MAGIC = /^\s*%%pgcellar(?=\s|$)/;

/** Whether a cell is one of ours. */
export function isOurs(source: string): boolean {
  return MAGIC.test(source);
}

/** The cells of ours down to one, as the magic takes them; null where that is none of ours. */
export function downTo(cells: Pick<CellList, typeof Symbol.iterator>, head: string): string | null {
  const found: { id: string; source: string }[] = [];
  for (const model of cells) {
    const source = textOf(model);
    if (source !== null && isOurs(source)) {
      found.push({ id: model.id, source });
    }
    if (model.id === head) {
      const last = found.length - 1;
      return found[last]?.id === head ? JSON.stringify({ cells: found, head: last }) : null;
    }
  }
  return null;
}

/**
 * The code that tells the magic, and does nothing where it is not loaded. What JSON writes as a text
 * is one in Python, too.
 */
export function telling(document: string): string {
  const text = JSON.stringify(document);
  return `(lambda found: found and found.__self__.tell(${text}))(get_ipython().find_cell_magic('pgcellar'))`;
}

function textOf(model: ICellModel): string | null {
  return model.type === 'code' ? model.sharedModel.getSource() : null;
}
