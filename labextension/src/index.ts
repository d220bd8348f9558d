// The plugins of the extension.

import create from './plugins/create';
import editing from './plugins/editing';
import errors from './plugins/errors';
import grid from './plugins/grid';
import highlighting from './plugins/highlighting';
import notebooks from './plugins/notebooks';
import plans from './plugins/plans';
import sandbox from './plugins/sandbox';
import schema from './plugins/schema';
import states from './plugins/states';
import status from './plugins/status';
import teaching from './plugins/teaching';

export default [
  notebooks,
  status,
  editing,
  errors,
  highlighting,
  plans,
  create,
  sandbox,
  teaching,
  schema,
  states,
  grid
];
