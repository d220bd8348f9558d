// The icons of the panels; JupyterLab's themes colour them by their classes.

import { LabIcon } from '@jupyterlab/ui-components';

function icon(name: string, body: string): LabIcon {
  return new LabIcon({
    name: `pgcellar:${name}`,
    svgstr:
      '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">' +
      `<g class="jp-icon3" fill="#616161">${body}</g></svg>`
  });
}

/** States along a line. */
export const statesIcon = icon(
  'states',
  '<path d="M7 3a3 3 0 0 1 1 5.83v2.34a3 3 0 0 1 0 5.66V21H6v-4.17a3 3 0 0 1 0-5.66V8.83A3 3 0 0 1 7 3z"/>' +
    '<path d="M12 5h9v2h-9zM12 13h9v2h-9z"/>'
);

/** A database. */
export const schemaIcon = icon(
  'schema',
  '<path d="M12 2c4.4 0 8 1.6 8 3.5S16.400 9 12 9 4 7.400 4 5.500 7.600 2 12 2z"/>' +
    '<path d="M4 8.200c1.500 1.700 4.500 2.800 8 2.800s6.500-1.100 8-2.800V12c0 1.900-3.600 3.500-8 3.500S4 13.900 4 12z"/>' +
    '<path d="M4 14.700c1.500 1.700 4.500 2.800 8 2.800s6.500-1.100 8-2.800v3.800c0 1.900-3.600 3.500-8 3.500s-8-1.600-8-3.500z"/>'
);

/** A difference. */
export const deltaIcon = icon('delta', '<path d="M12 3 2.500 21h19zm0 4.300L18.200 19H5.800z"/>');

export const pinIcon = icon('pin', '<path d="M16 3v2h-1v6l3 3v2h-5v6h-2v-6H6v-2l3-3V5H8V3z"/>');

/** Have something kept. */
export const keepIcon = icon(
  'keep',
  '<path d="M11 3h2v8h3.500L12 16 7.500 11H11z"/><path d="M4 15h2v4h12v-4h2v6H4z"/>'
);

export const tableIcon = icon(
  'table',
  '<path d="M3 4h18v16H3zm2 6v3h5v-3zm7 0v3h7v-3zm-7 5v3h5v-3zm7 0v3h7v-3z"/>'
);

export const viewIcon = icon(
  'view',
  '<path d="M12 5c5 0 9 4 10 7-1 3-5 7-10 7S3 15 2 12c1-3 5-7 10-7zm0 2c-3.700 0-6.800 2.800-7.800 5 1 2.200 4.100 5 7.800 5s6.800-2.800 7.800-5c-1-2.200-4.100-5-7.800-5zm0 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6z"/>'
);

export const columnIcon = icon('column', '<path d="M9 4h6v16H9zm2 2v12h2V6z"/>');

export const keyIcon = icon(
  'key',
  '<path d="M8 7a5 5 0 0 1 4.900 4H22v3h-2v3h-3v-3h-4.100A5 5 0 1 1 8 7zm0 3a2 2 0 1 0 0 4 2 2 0 0 0 0-4z"/>'
);

export const functionIcon = icon(
  'function',
  '<path d="M15 4c1 0 2 .300 2.600.700l-.800 1.900C15 6 14 6.300 13.700 8.200L13.500 10H16v2h-2.800l-.900 5.500C11.800 20.500 9.500 21.300 6.500 20l.700-1.900c1.800.700 2.800.400 3.100-1.100L11.200 12H9v-2h2.500l.300-2.200C12.200 5.300 13.400 4 15 4z"/>'
);

export const linkIcon = icon(
  'reference',
  '<path d="M4 5h7v2H6v10h5v2H4zM13 7l6 5-6 5v-4H9v-2h4z"/>'
);

export const objectIcon = icon(
  'object',
  '<path d="m12 3 8 4.500v9L12 21l-8-4.500v-9zm0 2.300L6.500 8.400 12 11.500l5.500-3.100z"/>'
);

export const folderIcon = icon('group', '<path d="M4 6h6l2 2h8v10H4z"/>');

export const labelIcon = icon(
  'label',
  '<path d="M3 4h9l9 9-8 8-9-9zm4.500 2.500a2 2 0 1 0 0 4 2 2 0 0 0 0-4z"/>'
);

export const lessIcon = icon('less', '<path d="M5 11h14v2H5z"/>');

export const fitIcon = icon(
  'fit',
  '<path d="M4 4h6v2H6v4H4zm10 0h6v6h-2V6h-4zM4 14h2v4h4v2H4zm14 0h2v6h-6v-2h4z"/>'
);

export const diagramIcon = icon(
  'diagram',
  '<path d="M3 3h8v7H8v5h5v-2h8v8h-8v-4H6v-7H3zm2 2v3h4V5zm10 10v4h4v-4z"/>'
);
