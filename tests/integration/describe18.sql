-- What PostgreSQL 18 has besides.
create table e18 (a int not null, b int generated always as (a * 2), c int check (c > 0) not enforced,
  constraint cnn not null c, d int);
alter table e18 add constraint dnn not null d not valid;
create table e18k () inherits (e18);
create table temporal (id int4range, valid daterange, primary key (id, valid without overlaps));
create table temporal_ref (id int4range, valid daterange, pid int4range, foreign key (pid, period valid) references temporal (id, period valid));
create table fk18 (a int references t not enforced);
create publication gen with (publish_generated_columns = stored);
