// The plugins of the extension.

import charts from './plugins/charts';
import create from './plugins/create';
import editing from './plugins/editing';
import errors from './plugins/errors';
import grid from './plugins/grid';
import highlighting from './plugins/highlighting';
import notebooks from './plugins/notebooks';
import plans from './plugins/plans';
import python from './plugins/python';
import sandbox from './plugins/sandbox';
import schema from './plugins/schema';
import states from './plugins/states';
import status from './plugins/status';
import teaching from './plugins/teaching';
import tour from './plugins/tour';

export default [
  notebooks,
  python,
  status,
  editing,
  errors,
  highlighting,
  plans,
  create,
  tour,
  sandbox,
  teaching,
  schema,
  states,
  grid,
  charts
];
