// Icons of our own; JupyterLab’s serve for everything else.

import { LabIcon } from '@jupyterlab/ui-components';

/** A database. */
export const sqlIcon = new LabIcon({
  name: 'pgcellar:sql',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<g class="jp-icon3" fill="#616161"><path d="M12 3C7.6 3 4 4.6 4 6.5S7.6 10 12 10s8-1.6 8-3.5' +
    'S16.4 3 12 3zM4 9v3.5c0 1.9 3.6 3.5 8 3.5s8-1.6 8-3.5V9c-1.7 1.8-4.7 2.7-8 2.7S5.7 10.8 4 ' +
    '9zM4 15v2.5c0 1.9 3.6 3.5 8 3.5s8-1.6 8-3.5V15c-1.7 1.8-4.7 2.7-8 2.7' +
    'S5.7 16.8 4 15z"/></g></svg>'
});

/** People before a board. */
export const classIcon = new LabIcon({
  name: 'pgcellar:class',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<g class="jp-icon3" fill="#616161"><path d="M3 3h18v10h-2V5H5v8H3z"/>' +
    '<circle cx="7" cy="15.5" r="2"/><circle cx="12" cy="15.5" r="2"/>' +
    '<circle cx="17" cy="15.5" r="2"/><path d="M3.5 21c0-2 1.5-3 3.5-3 1 0 1.9.3 2.5.8' +
    '.6-.5 1.5-.8 2.5-.8s1.9.3 2.5.8c.6-.5 1.5-.8 2.5-.8 2 0 3.5 1 3.5 3z"/>' +
    '<path d="M8 7h8v1.5H8zM8 10h5v1.5H8z"/></g></svg>'
});
