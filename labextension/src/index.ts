// The plugins of the extension.

import editing from './plugins/editing';
import errors from './plugins/errors';
import highlighting from './plugins/highlighting';
import grid from './plugins/grid';
import notebooks from './plugins/notebooks';
import plans from './plugins/plans';
import status from './plugins/status';

export default [notebooks, status, editing, errors, highlighting, plans, grid];
