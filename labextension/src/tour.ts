// The tour: a notebook that needs no data, whose texts say what to try in its cells.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { JSONObject } from '@lumino/coreutils';

import { KERNEL } from './tokens';

const DATA = `create table customer (id int primary key, name text not null, city text not null);
insert into customer values (1, 'Ada', 'London'), (2, 'Edgar', 'Oxford'), (3, 'Grace', 'New York');

create table sale (
  id int primary key, customer int not null references customer, day date not null,
  amount numeric(6, 2) not null);
insert into sale
select n, n % 3 + 1, date '2026-01-01' + n % 365, n * 7919 % 10000 / 100.0
from generate_series(1, 5000) n;`;
const MEND = 'delete from sale where amount < 10;';
const QUESTION = `select city, count(*) as sales, sum(amount) as amount
from sale join customer on customer.id = sale.customer
group by city order by city;`;
const MANY = 'select * from sale order by id;';
const DRAWN = `-- @param least: slider(0, 100) = 50
select date_trunc('month', day)::date as month, count(*) as sales
from sale where amount >= :least group by month order by month
\\chart bar x=month y=sales`;
const MISTAKE = `create table half_done (a int);
select nobody from customer;`;

/** The notebook. */
export function tour(trans: TranslationBundle): JSONObject {
  const cells = [
    text(
      trans.__('# A tour of SQL notebooks'),
      trans.__(
        'Running a cell gives what running the whole notebook from the top would give, at the price of running that one cell. PostgreSQL runs by itself; what you do here is seen by nobody else.'
      ),
      trans.__(
        '**1. Run everything**: menu *Run*, *Run All Cells*. The dot beside a cell turns green: what you see is up to date. The last cell fails, as it should.'
      )
    ),
    code(DATA),
    code(MEND),
    code(QUESTION),
    text(
      trans.__(
        '**2. Change a cell in the middle**: make the `10` of `amount < 10` a `50`. What depends on it turns orange, and its outputs are dimmed. Run the question below it alone: it sees your change, for the cells above run first where they have to. *Run Stale Cells* (Ctrl Shift Enter) brings the rest up to date.'
      ),
      trans.__(
        '**3. Take it back**, and run the question again: nothing has to run, since that state is kept.'
      )
    ),
    code(MANY),
    text(
      trans.__(
        '**4. Look around in a result**: a click on a column’s name sorts, the funnel filters, Enter shows a value at length; below are copies, downloads and charts. Rows come from the server as you scroll.'
      ),
      trans.__(
        '**5. Look into the sidebars**: *Show Schema* has the tables at the selected cell and a picture of them, *Show States* what each cell changed. The tree above a cell’s right corner shows its query’s plan; Tab completes names, and Shift Tab explains them.'
      )
    ),
    code(DRAWN),
    text(
      trans.__(
        '**6. Move the slider**: the cell runs again on the state above it, and its first line says what you chose.'
      )
    ),
    code(MISTAKE),
    text(
      trans.__(
        '**7. A cell that fails leaves no trace**: there is no table `half_done`, and the mistake is underlined. Correct it, and run the cell again.'
      )
    )
  ];
  return {
    cells: cells.map((cell, index) => ({ ...cell, id: `tour-${index + 1}` })),
    metadata: {
      kernelspec: { name: KERNEL, display_name: 'SQL (PostgreSQL)', language: 'sql' },
      language_info: { name: 'sql' }
    },
    nbformat: 4,
    nbformat_minor: 5
  };
}

function text(...paragraphs: string[]): JSONObject {
  return { cell_type: 'markdown', metadata: {}, source: paragraphs.join('\n\n') };
}

function code(source: string): JSONObject {
  return { cell_type: 'code', metadata: {}, source, outputs: [], execution_count: null };
}
