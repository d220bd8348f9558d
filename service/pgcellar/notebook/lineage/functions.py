"""What PostgreSQL's own functions do beyond computing: a cell that calls any other may do anything.

The names were read off PostgreSQL 18's pg_proc: those not marked volatile, which can't write,
without the parts of types, operators and index methods that nobody calls by name. A missing name
costs a needless dependency; a wrong one would hide a true one.
"""

from __future__ import annotations

import re
from typing import Literal

Effect = Literal["pure", "catalog", "random", "session", "advances", "current", "unknown"]

_PURE_NAMES = """
abbrev abs acos acosd acosh age any_value area array_agg array_dims array_fill array_length
array_lower array_ndims array_position array_positions array_remove array_replace array_reverse
array_sort array_to_json array_to_string array_to_tsvector array_upper ascii asin asind asinh atan
atan2 atan2d atand atanh avg bit bit_and bit_count bit_length bit_or bit_xor bool bool_and bool_or
box bpchar broadcast btrim bytea cardinality casefold cash_words cbrt ceil ceiling center char
char_length character_length chr cidr circle concat concat_ws convert convert_from convert_to corr
cos cosd cosh cot cotd count covar_pop covar_samp crc32 crc32c cume_dist current_database
current_user date date_add date_bin date_part date_subtract date_trunc datemultirange daterange
decode degrees dense_rank diagonal diameter div encode enum_first enum_last enum_range erf erfc
every exp extract factorial family first_value float4 float8 floor format gamma gcd
generate_series generate_subscripts get_bit get_byte getdatabaseencoding height host hostmask
icu_unicode_version inet_client_addr inet_client_port inet_server_addr inet_server_port initcap
int2 int4 int4multirange int4range int8 int8multirange int8range interval is_normalized isclosed
isempty isfinite ishorizontal isopen isparallel isperp isvertical json_agg json_agg_strict
json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
json_each json_each_text json_object json_object_agg json_object_agg_strict json_object_agg_unique
json_object_agg_unique_strict json_object_keys json_populate_record json_populate_recordset
json_strip_nulls json_to_record json_to_recordset json_to_tsvector json_typeof jsonb_agg
jsonb_agg_strict jsonb_array_elements jsonb_array_elements_text jsonb_array_length
jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_insert jsonb_object
jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict
jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz
jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid
jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
jsonb_to_recordset jsonb_to_tsvector jsonb_typeof justify_days justify_hours justify_interval lag
last_value lcm lead left length lgamma like like_escape line ln log log10 lower lower_inc
lower_inf lpad lseg ltrim macaddr macaddr8 make_date make_interval make_time make_timestamp
make_timestamptz masklen max md5 min min_scale mod mode money multirange name netmask network
normalize notlike now npoints nth_value ntile num_nonnulls num_nulls numeric numeric_div_trunc
nummultirange numnode numrange octet_length overlaps overlay parse_ident path percent_rank
percentile_cont percentile_disc pg_column_size pg_input_error_info pg_input_is_valid pg_size_bytes
pg_size_pretty pg_typeof phraseto_tsquery pi plainto_tsquery point polygon position pow power
querytree quote_ident quote_literal quote_nullable radians radius range_agg range_intersect_agg
range_merge rank regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count
regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse right round
row_number row_to_json rpad rtrim scale session_user set_bit set_byte set_masklen setweight sha224
sha256 sha384 sha512 sign similar_escape similar_to_escape sin sind sinh slope split_part sqrt
statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strip
strpos substr substring sum system_user tan tand tanh text textlen time timestamp timestamptz
timetz timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb to_number to_oct
to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim_array trim_scale trunc
ts_debug ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd ts_token_type
tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array unicode_assigned
unicode_version unistr unnest upper upper_inc upper_inf uuid_extract_timestamp
uuid_extract_version var_pop var_samp varbit varchar variance version websearch_to_tsquery width
width_bucket xml xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlagg
xmlcomment xmlexists xmltext xmlvalidate xpath xpath_exists
"""
_PURE = frozenset(_PURE_NAMES.split())
#: Volatile for telling the time or making up a value that nothing else depends on.
_FRESH = frozenset(
    {
        "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7",
        "pg_sleep", "pg_sleep_for", "pg_sleep_until", "current_setting",
    }
)  # fmt: skip
#: After setseed() each of these decides what the next one gives.
_RANDOM = frozenset({"random", "random_normal", "array_sample", "array_shuffle"})
_SESSION = frozenset({"set_config", "setseed", "pg_notify"})
_CATALOG = re.compile(
    r"pg_get_\w+|has_\w+_privilege|to_reg\w+|pg_(?:relation|table|indexes|total_relation)_size"
    r"|(?:obj|col|shobj)_description|format_type|pg_\w+_is_visible|current_schemas?|lastval"
    r"|txid_current\w*|pg_current_\w+|(?:table|schema|database)_to_xml\w*|pg_backend_pid"
)


def effect(name: str) -> Effect:
    """What a call of the function, named without its schema, does.

    `catalog`: it shows anything of the database's content. `advances` and `current`: it moves or
    shows the sequence that its first argument names. `unknown`: it is none of PostgreSQL's, or
    one that may do anything.
    """
    if name in _PURE or name in _FRESH:
        return "pure"
    if name in _RANDOM:
        return "random"
    if name in _SESSION:
        return "session"
    if name in ("nextval", "setval"):
        return "advances"
    if name == "currval":
        return "current"
    return "catalog" if _CATALOG.fullmatch(name) else "unknown"
