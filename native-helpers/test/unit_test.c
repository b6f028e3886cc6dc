/* Parsers and tables of the helper, one by one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../src/buf.h"
#include "../src/copytool.h"
#include "../src/fields.h"
#include "../src/fid_stack.h"
#include "../src/hal.h"
#include "../src/json.h"
#include "../src/lines.h"
#include "../src/link_ea.h"
#include "../src/llapi.h"
#include "../src/lov.h"
#include "../src/out.h"
#include "../src/record.h"
#include "../src/request.h"
#include "check.h"

static struct json_doc doc;
static char *text;

static const struct json *parse(const char *s)
{
	json_free(&doc);
	free(text);
	text = malloc(strlen(s) + 1);
	memcpy(text, s, strlen(s) + 1);
	return json_parse(&doc, text, strlen(s));
}

static bool is_text(const struct json *v, const char *want)
{
	return v && v->type == JSON_STRING && v->len == strlen(want) && memcmp(v->text, want, v->len) == 0;
}

static void test_json(void)
{
	static const char *const bad[] = {
		"", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "01", "-", "1.", "1e", ".5", "+1", "tru", "nul",
		"\"\x01\"", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
		"\"\\u0000\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "{\"a\":1,\"a\":2}", "1 2", "[[[[[[[[[1]]]]]]]]]",
		"{1:2}", "NaN", "'a'",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct json *v = parse(bad[i]);

		CHECK(!v && doc.error);
	}

	const struct json *v = parse(" {\"n\":1,\"s\":\"a\\n\\u00e9\\ud83d\\ude00\\\"\",\"l\":[true,false,null,-1.5e+3],\"o\":{}} ");

	CHECK(v && v->count == 4);
	CHECK(is_text(json_get(v, "s"), "a\n\xc3\xa9\xf0\x9f\x98\x80\""));
	CHECK(json_get(v, "l")->count == 4 && json_get(v, "l")->child->boolean);
	CHECK(json_get(v, "none") == NULL && json_get(v, "o")->child == NULL);
	CHECK(parse("[[[[[[[[]]]]]]]]") != NULL);

	/* Too many values are an error, not a crash. */
	struct buf many = { 0 };

	buf_str(&many, "[0");
	for (int i = 0; i < JSON_MAX_NODES; i++)
		buf_str(&many, ",0");
	buf_add(&many, "]", 2);
	CHECK(!parse(many.data) && strcmp(doc.error, "too many values") == 0);
	buf_free(&many);
}

static void test_fields(void)
{
	struct fields f = { .object = parse("{\"a\":\"18446744073709551615\",\"b\":\"18446744073709551616\",\"c\":-5,"
					    "\"f\":\"0x200000401:0x1:0x0\",\"d\":\"AAEC/w==\",\"e\":\"AAF=\",\"x\":4294967296,"
					    "\"p\":\"/a/b\",\"q\":\"YQBi\",\"r\":\"YS9i\"}") };
	uint64_t u = 0;
	uint32_t w = 0;
	int32_t i = 0;
	struct lu_fid fid = { 0 };
	unsigned char *data = NULL;
	size_t len = 0;
	char path[PATH_BYTES];

	CHECK(field_u64(&f, "a", true, &u) && u == UINT64_MAX);
	CHECK(!field_u64(&f, "b", true, &u) && f.error[0]);
	CHECK(field_i32(&f, "c", &i) && i == -5);
	CHECK(!field_u32(&f, "x", true, &w) && !field_u64(&f, "c", true, &u));
	CHECK(field_u64(&f, "none", false, &u) && !field_u64(&f, "none", true, &u));
	CHECK(field_fid(&f, "f", true, &fid, NULL) && fid.f_seq == 0x200000401 && fid.f_oid == 1 && fid.f_ver == 0);
	CHECK(field_base64(&f, "d", true, 4, &data, &len) && len == 4 && memcmp(data, "\0\1\2\xff", 4) == 0);
	free(data);
	CHECK(!field_base64(&f, "d", true, 3, &data, &len) && !data);
	CHECK(!field_base64(&f, "e", true, 9, &data, &len) && !data); /* hidden bits */
	CHECK(path_bytes(&f, json_get(f.object, "p"), NULL, path) && strcmp(path, "/a/b") == 0);
	CHECK(path_bytes(&f, NULL, json_get(f.object, "r"), path) && strcmp(path, "a/b") == 0);
	CHECK(!path_bytes(&f, NULL, json_get(f.object, "q"), path)); /* NUL */
	CHECK(!path_bytes(&f, json_get(f.object, "p"), json_get(f.object, "r"), path));

	CHECK(parse_fid("[0x1:0x2:0x3]", 13, &fid) && fid.f_ver == 3);
	CHECK(parse_fid("0:0x0:0x0", 9, &fid) && fid.f_seq == 0);
	CHECK(!parse_fid("0x1:0x2", 7, &fid) && !parse_fid("0x1:0x2:0x3:", 12, &fid) && !parse_fid("", 0, &fid));
	CHECK(!parse_fid("0x1:0x123456789:0x0", 19, &fid) && !parse_fid("../..", 5, &fid) && !parse_fid("0x:0x1:0x0", 10, &fid));
	CHECK(!parse_u64("", 0, &u) && !parse_u64("007", 3, &u) && !parse_u64("1a", 2, &u) && parse_u64("0", 1, &u));

	const char *op;

	CHECK(request_decode(parse("{\"n\":1,\"op\":\"get\"}"), &op, &u) == NULL && u == 1 && strcmp(op, "get") == 0);
	CHECK(request_decode(parse("{\"n\":\"1\",\"op\":\"get\"}"), &op, &u) != NULL);
	CHECK(request_decode(parse("{\"n\":9007199254740992,\"op\":\"get\"}"), &op, &u) != NULL);
	CHECK(request_decode(parse("[]"), &op, &u) != NULL && request_decode(parse("{\"n\":1}"), &op, &u) != NULL);
}

static void test_buf(void)
{
	struct buf b = { 0 };

	buf_json_string(&b, "a\"\\\n\xff\xc3\xa9", 7);
	buf_add(&b, "", 1);
	CHECK(strcmp(b.data, "\"a\\\"\\\\\\u000a\xef\xbf\xbd\xc3\xa9\"") == 0);
	b.len = 0;
	buf_json_base64(&b, "ab", 2);
	buf_json_base64(&b, "", 0);
	buf_json_base64(&b, "\xff\xff\xff", 3);
	buf_add(&b, "", 1);
	CHECK(strcmp(b.data, "\"YWI=\"\"\"\"////\"") == 0);
	b.len = 0;
	buf_json_bytes(&b, "path", "a\xff", 2);
	buf_json_bytes(&b, "path", "\xc3\xa9", 2);
	buf_json_fid(&b, &(struct lu_fid){ 0x200000401, 0x2d, 0 });
	buf_add(&b, "", 1);
	CHECK(strcmp(b.data, "\"path_b64\":\"Yf8=\"\"path\":\"\xc3\xa9\"\"0x200000401:0x2d:0x0\"") == 0);
	buf_free(&b);
	CHECK(utf8_valid("\xf4\x8f\xbf\xbf", 4) && !utf8_valid("\xf4\x90\x80\x80", 4) && !utf8_valid("\xe0\x9f\xbf", 3));
	CHECK(!utf8_valid("\xc3", 1) && !utf8_valid("\xf0\x80\x80\x80", 4) && !utf8_valid("\x80", 1));
}

static void feed(struct lines *l, const char *s, size_t len)
{
	while (len > 0) {
		char *room;
		size_t n = lines_room(l, &room);

		n = n < len ? n : len;
		memcpy(room, s, n);
		lines_read(l, n);
		s += n;
		len -= n;
		if (len > 0) /* full: somebody must look */
			break;
	}
}

static void test_lines(void)
{
	struct lines l;
	char *line, *big = malloc(LINE_MAX_BYTES + 16);
	size_t len;

	CHECK(lines_init(&l));
	feed(&l, "a\n\nbc", 5);
	CHECK(lines_peek(&l, &line, &len) == LINES_LINE && len == 1 && *line == 'a');
	CHECK(lines_peek(&l, &line, &len) == LINES_LINE && len == 1); /* stays until dropped */
	lines_drop(&l);
	CHECK(lines_peek(&l, &line, &len) == LINES_LINE && len == 0);
	lines_drop(&l);
	CHECK(lines_peek(&l, &line, &len) == LINES_NONE && lines_partial(&l));
	feed(&l, "\n", 1);
	CHECK(lines_peek(&l, &line, &len) == LINES_LINE && len == 2 && memcmp(line, "bc", 2) == 0);
	lines_drop(&l);
	CHECK(!lines_partial(&l));

	/* The longest line that fits, then one that is a byte too long, then in step again. */
	memset(big, 'x', LINE_MAX_BYTES + 16);
	feed(&l, big, LINE_MAX_BYTES);
	CHECK(lines_peek(&l, &line, &len) == LINES_NONE);
	feed(&l, "\n", 1);
	CHECK(lines_peek(&l, &line, &len) == LINES_LINE && len == LINE_MAX_BYTES);
	lines_drop(&l);
	feed(&l, big, LINE_MAX_BYTES + 1);
	CHECK(lines_peek(&l, &line, &len) == LINES_TOO_LONG);
	lines_drop(&l);
	CHECK(lines_peek(&l, &line, &len) == LINES_NONE && lines_partial(&l));
	feed(&l, "yyy\nz\n", 6);
	CHECK(lines_peek(&l, &line, &len) == LINES_LINE && len == 1 && *line == 'z');
	lines_drop(&l);
	CHECK(lines_peek(&l, &line, &len) == LINES_NONE && !lines_partial(&l));
	lines_free(&l);
	free(big);
}

/* A message as recorded: 120 bytes, one archive. */
static size_t message(unsigned char out[256], uint32_t count, uint32_t hai_len)
{
	struct hsm_action_list head = { .hal_version = 1, .hal_count = count, .hal_flags = 4, .hal_archive_id = 7 };
	struct hsm_action_item item = {
		.hai_len = hai_len, .hai_action = HSMA_ARCHIVE, .hai_fid = { 0x200000401, 0x78, 0 }, .hai_cookie = 0x6b031290,
	};

	memset(out, 0, 256);
	memcpy(out, &head, sizeof(head));
	memcpy(out + 32, "lustrefs", 9);
	memcpy(out + 48, &item, sizeof(item));
	memcpy(out + 120, "data", 4);
	return 120;
}

static void test_hal(void)
{
	unsigned char m[256];
	struct hal_walk w;
	struct hal_item one;
	const char *error = NULL;
	size_t size = message(m, 1, 72);

	CHECK(hal_start(&w, m, size) == NULL && w.archive == 7 && w.flags == 4);
	CHECK(hal_next(&w, &one, &error) == 1 && one.item.hai_cookie == 0x6b031290 && one.data_len == 0);
	CHECK(hal_next(&w, &one, &error) == 0);

	message(m, 1, 76); /* data without padding at the end */
	CHECK(hal_start(&w, m, 124) == NULL && hal_next(&w, &one, &error) == 1 && one.data_len == 4 && one.data[0] == 'd');
	CHECK(hal_start(&w, m, 123) == NULL && hal_next(&w, &one, &error) == -1 && error);
	CHECK(hal_next(&w, &one, &error) == 0);

	message(m, 2, 72); /* more announced than there are */
	CHECK(hal_start(&w, m, size) == NULL && hal_next(&w, &one, &error) == 1 && hal_next(&w, &one, &error) == -1);
	message(m, 1, 71);
	CHECK(hal_start(&w, m, size) == NULL && hal_next(&w, &one, &error) == -1);
	message(m, 2, 0);
	CHECK(hal_start(&w, m, size) == NULL && hal_next(&w, &one, &error) == -1);
	message(m, 2, UINT32_MAX);
	CHECK(hal_start(&w, m, size) == NULL && hal_next(&w, &one, &error) == -1);
	CHECK(hal_start(&w, m, 31) != NULL && hal_start(&w, m, 36) != NULL);
	m[0] = 2;
	CHECK(hal_start(&w, m, size) != NULL);
	CHECK(hsm_action_number("RESTORE", 7) == HSMA_RESTORE && !hsm_action_number("RESTOR", 6) && !hsm_action_name(10));
}

static size_t unhex(const char *hex, unsigned char *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned v;

		sscanf(hex + 2 * i, "%2x", &v);
		out[i] = (unsigned char)v;
	}
	return n;
}

static bool json_is(const struct lov_layout *l, const char *want)
{
	struct buf b = { 0 };

	lov_json(l, &b);
	buf_add(&b, "", 1);

	bool same = !b.failed && strcmp(b.data, want) == 0;

	if (!same)
		fprintf(stderr, "layout: %s\n", b.data);
	buf_free(&b);
	return same;
}

static void test_lov(void)
{
	unsigned char x[512], rebuilt[512];
	struct lov_layout l, again;
	struct buf b = { 0 };
	/* Recorded: a released file of two stripes. */
	size_t n = unhex("d00bd10b010000800a00000000000000d10b000002000000000040000200ffff"
			 "000000000000000000000000000000000000000000000000", x);

	CHECK(lov_parse(&l, x, n) == NULL);
	CHECK(json_is(&l, "{\"stripe_count\":2,\"stripe_size\":4194304,\"pattern\":[\"raid0\",\"released\"],\"pool\":\"\",\"osts\":[],"
			  "\"composite\":false}"));
	CHECK(lov_build(&l, &b) == 0 && b.len == 32);
	CHECK(lov_parse(&again, b.data, b.len) == NULL);
	CHECK(json_is(&again, "{\"stripe_count\":2,\"stripe_size\":4194304,\"pattern\":[\"raid0\"],\"pool\":\"\",\"osts\":[],"
			      "\"composite\":false}"));
	for (size_t cut = 0; cut < 32; cut++)
		CHECK(lov_parse(&l, x, cut) != NULL);

	/* A composite one: DoM and then a pool. */
	struct lov_layout made = { .composite = true, .plain = true, .count = 2 };

	made.components[0] = (struct lov_component){ .end = 65536, .flags = 0x10, .pattern = LOV_PATTERN_MDT | LOV_PATTERN_F_RELEASED,
						     .stripe_size = 65536 };
	made.components[1] = (struct lov_component){ .start = 65536, .end = UINT64_MAX, .pattern = LOV_PATTERN_RAID0,
						     .stripe_size = 1048576, .stripe_count = 0xffff, .pool = "flash" };
	b.len = 0;
	CHECK(lov_build(&made, &b) == 0 && b.len == 32 + 2 * 48 + 32 + 48);
	CHECK(lov_parse(&again, b.data, b.len) == NULL && again.plain);
	CHECK(json_is(&again, "{\"stripe_count\":0,\"stripe_size\":65536,\"pattern\":[\"mdt\"],\"pool\":\"\",\"osts\":[],\"composite\":true,"
			      "\"components\":[{\"start\":\"0\",\"end\":\"65536\",\"init\":false,\"stripe_count\":0,\"stripe_size\":65536,"
			      "\"pattern\":[\"mdt\"],\"pool\":\"\"},{\"start\":\"65536\",\"end\":\"18446744073709551615\",\"init\":false,"
			      "\"stripe_count\":-1,\"stripe_size\":1048576,\"pattern\":[\"raid0\"],\"pool\":\"flash\"}]}"));
	memcpy(rebuilt, b.data, b.len);
	for (size_t cut = 0; cut < b.len; cut++)
		CHECK(lov_parse(&again, rebuilt, cut) != NULL);

	/* An entry that points outside, mirrors, foreign. */
	uint32_t far = 4000;

	memcpy(rebuilt + 32 + 24, &far, 4);
	CHECK(lov_parse(&again, rebuilt, b.len) != NULL);
	memcpy(rebuilt, b.data, b.len);
	rebuilt[16] = 1;
	CHECK(lov_parse(&again, rebuilt, b.len) == NULL && !again.plain);
	b.len = 0;
	CHECK(lov_build(&again, &b) == -EOPNOTSUPP && b.len == 0);
	n = unhex("d00bd70b00000000", x);
	CHECK(lov_parse(&again, x, n) == NULL && again.foreign && lov_build(&again, &b) == -EOPNOTSUPP);
	buf_free(&b);
}

static void test_items(void)
{
	static struct helper h;
	static struct copytool ct = { .h = &h, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	struct hsm_action_item a = { .hai_cookie = 5, .hai_fid = { 1, 1, 0 } }, b = { .hai_cookie = 5, .hai_fid = { 2, 1, 0 } }, out;
	struct lu_fid second = { 2, 1, 0 };
	struct item *it;
	int rc;

	CHECK(item_add(&ct, &a, 1, NULL) == 0 && item_add(&ct, &a, 1, NULL) == -EEXIST);
	it = item_take(&ct, 5, NULL, &rc);
	CHECK(it && rc == 0);
	item_give(&ct, it);
	CHECK(item_add(&ct, &b, 1, NULL) == 0); /* the same cookie of another MDT */
	CHECK(!item_take(&ct, 5, NULL, &rc) && rc == -ENOTUNIQ);
	CHECK(item_peek(&ct, 5, &second, &out) == 0 && out.hai_fid.f_seq == 2);
	it = item_take(&ct, 5, &second, &rc);
	CHECK(it != NULL);
	item_remove(&ct, it, NULL);
	CHECK(item_peek(&ct, 5, &second, &out) == -ENOENT && item_peek(&ct, 5, NULL, &out) == 0);
	while ((it = item_take_any(&ct)))
		item_remove(&ct, it, NULL);
	CHECK(ct.count == 0 && item_peek(&ct, 6, NULL, &out) == -ENOENT);
}

static void test_sent_again(void)
{
	static struct helper h;
	static struct copytool ct = { .h = &h, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	struct hsm_action_item a = { .hai_cookie = 5, .hai_fid = { 1, 1, 0 } };
	struct buf event = { 0 }, told = { 0 };
	struct item *it;
	int rc;

	CHECK(item_add(&ct, &a, 1, NULL) == 0);
	it = item_take(&ct, 5, NULL, &rc);
	buf_str(&event, "early");
	CHECK(item_add(&ct, &a, 2, &event) == -EEXIST && event.len == 5 && !item_sent_again(&ct, it));
	item_ending(&ct, it);
	CHECK(item_add(&ct, &a, 2, NULL) == -EEXIST && !item_sent_again(&ct, it)); /* an adoption */
	CHECK(item_add(&ct, &a, 2, &event) == 1 && event.len == 0 && item_sent_again(&ct, it));
	buf_str(&event, "late");
	CHECK(item_add(&ct, &a, 3, &event) == 1);
	item_remove(&ct, it, &told);
	CHECK(told.len == 4 && memcmp(told.data, "late", 4) == 0 && ct.count == 1);
	buf_free(&told);
	it = item_take(&ct, 5, NULL, &rc);
	CHECK(it && it->archive == 3 && !it->ending && !it->hcp && !item_sent_again(&ct, it));
	item_ending(&ct, it);
	buf_str(&event, "not told");
	CHECK(item_add(&ct, &a, 4, &event) == 1);
	item_remove(&ct, it, NULL);
	it = item_take_any(&ct);
	CHECK(it && it->archive == 4);
	item_remove(&ct, it, &told);
	CHECK(told.len == 0 && ct.count == 0);

	/* What no request has named is known by its event; an adoption whose item was sent again goes on with it. */
	h.options.keep = "file";
	buf_free(&event);
	buf_str(&event, "told");
	CHECK(item_add(&ct, &a, 1, &event) == 0);
	item_untouched(&ct, &told);
	CHECK(told.len == 5 && memcmp(told.data, "told\n", 5) == 0);
	buf_free(&told);
	it = item_take(&ct, 5, NULL, &rc);
	item_untouched(&ct, &told);
	CHECK(told.len == 0);
	item_ending(&ct, it);
	CHECK(item_add(&ct, &a, 2, &event) == 1);
	item_stays(&ct, it);
	CHECK(!item_sent_again(&ct, it) && !it->busy && !it->ending && it->archive == 1);
	it = item_take_any(&ct);
	item_remove(&ct, it, NULL);
	CHECK(ct.count == 0);
}

static void test_lanes(void)
{
	static const struct {
		const char *line;
		enum lane lane;
	} all[] = {
		{ "{\"n\":1,\"op\":\"progress\",\"cookie\":\"1\"}", LANE_PROGRESS },
		{ "{\"n\":1,\"op\":\"begin\",\"cookie\":\"1\"}", LANE_GENERAL },
		{ "{\"n\":1,\"op\":\"end\",\"cookie\":\"1\"}", LANE_GENERAL },
		{ "{\"n\":1,\"op\":\"end\",\"errval\":0}", LANE_GENERAL },
		{ "{\"n\":1,\"op\":\"end\",\"errval\":\"0\"}", LANE_GENERAL },
		{ "{\"n\":1,\"op\":\"end\",\"errval\":5}", LANE_END },
		{ "{\"n\":1,\"op\":\"end\",\"errval\":\"5\"}", LANE_END },
		{ "{\"n\":1,\"op\":\"drop\"}", LANE_END },
		{ "{\"n\":1,\"op\":\"get\",\"path\":\"progress\"}", LANE_GENERAL },
		{ "{\"n\":1,\"op\":5}", LANE_GENERAL },
		{ "[\"progress\"]", LANE_GENERAL },
		{ "{\"op\":\"progress\"", LANE_GENERAL },
		{ "", LANE_GENERAL },
	};
	static const char named[] = "{\"op\":\"progress\",\"fid\":\"0x240000401:0x1:0x0\"}";
	char longer[2000];
	uint64_t sequence;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		CHECK(request_lane(all[i].line, strlen(all[i].line), &sequence) == all[i].lane && sequence == 0);
	memset(longer, ' ', sizeof(longer));
	memcpy(longer, all[0].line, strlen(all[0].line));
	CHECK(request_lane(longer, 1024, &sequence) == LANE_PROGRESS && request_lane(longer, 1025, &sequence) == LANE_GENERAL);
	CHECK(request_lane(named, strlen(named), &sequence) == LANE_PROGRESS && sequence == 0x240000401);
}

/* A record as the kernel packs it: head, rename, job, extra flags with all extensions, name and old name. */
static size_t build_record(unsigned char *p, uint16_t flags, uint64_t extra, uint32_t type, const char *names, size_t len)
{
	struct changelog_rec head = {
		.cr_namelen = (uint16_t)len,
		.cr_flags = flags,
		.cr_type = type,
		.cr_index = 7,
		.cr_time = (uint64_t)1000 << 30 | 25000000,
		.cr_tfid = { 0x200000401, 1, 0 },
		.cr_pfid = { 0x200000007, 1, 0 },
	};
	struct lu_fid source[2] = { { 0x200000401, 0x20, 0 }, { 0x200000401, 0x30, 0 } };
	uint64_t ids[2] = { 1000, 100 };
	size_t at = sizeof(head);

	memset(p, 0, CHANGELOG_RECORD_MAX);
	memcpy(p, &head, sizeof(head));
	if (flags & CLF_RENAME)
		at += (memcpy(p + at, source, sizeof(source)), sizeof(source));
	if (flags & CLF_JOBID)
		at += CHANGELOG_JOBID_SIZE;
	if (flags & CLF_EXTRA_FLAGS) {
		at += (memcpy(p + at, &extra, 8), 8);
		if (extra & CLFE_UIDGID)
			at += (memcpy(p + at, ids, sizeof(ids)), sizeof(ids));
		at += (extra & CLFE_NID ? CHANGELOG_NID_SIZE : 0) + (extra & CLFE_OPEN ? CHANGELOG_OPEN_SIZE : 0);
		if (extra & CLFE_XATTR)
			at += (memcpy(p + at, "user.x", 6), CHANGELOG_XATTR_SIZE);
	}
	memcpy(p + at, names, len);
	return at + len;
}

static bool record_is(const unsigned char *p, size_t size, const char *want)
{
	unsigned char *exact = malloc(size); /* so that ASan and valgrind see a read behind it */
	struct record r;
	struct buf b = { 0 };
	bool same;

	memcpy(exact, p, size);
	if (record_parse(&r, exact, size) == NULL)
		record_json(&r, &b);
	same = b.len == strlen(want) && memcmp(b.data, want, b.len) == 0;
	if (!same)
		fprintf(stderr, "got %.*s\n", (int)b.len, b.data ? b.data : "");
	buf_free(&b);
	free(exact);
	return same;
}

static void test_record(void)
{
	static unsigned char p[CHANGELOG_RECORD_MAX * 2];
	const uint16_t all = CLF_VERSION | CLF_RENAME | CLF_JOBID | CLF_EXTRA_FLAGS;
	struct record r;
	size_t n = build_record(p, CLF_VERSION | 0x242, 0, 1, "a\nb", 3);

	CHECK(record_is(p, n, "[7,1,578,1000025,\"0x200000401:0x1:0x0\",\"0x200000007:0x1:0x0\",\"a\\u000ab\",null,null]"));
	for (size_t cut = 0; cut < n; cut++)
		CHECK(record_parse(&r, p, cut) != NULL);
	/* Parents of nameless records are not to be had; an xattr's name and the owner are, whatever lies between. */
	n = build_record(p, all, CLFE_KNOWN, 15, "", 0);
	CHECK(record_is(p, n, "[7,15,0,1000025,\"0x200000401:0x1:0x0\",null,null,1000,100,\"user.x\"]"));
	/* A library that puts an empty source into every record makes no rename of it; unknown types come through. */
	n = build_record(p, CLF_RENAME, 0, 99, "x\xff", 2);
	CHECK(record_is(p, n, "[7,99,0,1000025,\"0x200000401:0x1:0x0\",\"0x200000007:0x1:0x0\",{\"b64\":\"eP8=\"},null,null]"));
	n = build_record(p, all | 1, CLFE_UIDGID | CLFE_NID | CLFE_NID_BE, 8, "new s=[\0old", 11);
	CHECK(record_is(p, n, "[7,8,1,1000025,\"0x200000401:0x1:0x0\",\"0x200000007:0x1:0x0\",\"new s=[\",1000,100,"
			      "\"0x200000401:0x20:0x0\",\"0x200000401:0x30:0x0\",\"old\"]"));
	for (size_t cut = 0; cut < n; cut++)
		CHECK(record_parse(&r, p, cut) != NULL);
	/* A mark has no FID. */
	n = build_record(p, CLF_VERSION, 0, 0, "x", 1);
	CHECK(record_is(p, n, "[7,0,0,1000025,null,null,null,null,null]"));
	n = build_record(p, CLF_VERSION | CLF_EXTRA_FLAGS, 0x20, 1, "x", 1);
	CHECK(record_parse(&r, p, n) != NULL && r.index == 7 && r.type == 1);
}

static void test_link(void)
{
	/* As recorded from a real Lustre: one link, imp1 in 0x200000401:0x66:0x0. */
	unsigned char one[] = {
		0xdf, 0xf1, 0xea, 0x11, 1, 0, 0, 0, 0x2e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0x16, 0, 0, 0, 2, 0, 0, 4, 1, 0, 0, 0, 0x66, 0, 0, 0, 0, 'i', 'm', 'p', '1',
	};
	struct link_walk w;
	struct link_name link;

	CHECK(link_start(&w, one, sizeof(one)) && w.count == 1 && !w.overflow);
	CHECK(link_next(&w, &link) == 1 && link.len == 4 && memcmp(link.name, "imp1", 4) == 0);
	CHECK(link.parent.f_seq == 0x200000401 && link.parent.f_oid == 0x66 && link.parent.f_ver == 0);
	CHECK(link_next(&w, &link) == 0);
	for (size_t cut = 0; cut < sizeof(one); cut++) {
		unsigned char *exact = malloc(cut ? cut : 1);

		memcpy(exact, one, cut);
		CHECK(!link_start(&w, exact, cut) || link_next(&w, &link) == -1);
		free(exact);
	}
	one[25] = 18; /* an entry without a name */
	CHECK(link_start(&w, one, sizeof(one)) && link_next(&w, &link) == -1);
	one[25] = 0xff;
	CHECK(link_start(&w, one, sizeof(one)) && link_next(&w, &link) == -1);
	one[16] = 1;
	CHECK(link_start(&w, one, sizeof(one)) && w.overflow);
	one[0] = 0;
	CHECK(!link_start(&w, one, sizeof(one)));
}

static void test_osts(void)
{
	static unsigned char xattr[LOV_USER_MD_V3_SIZE + 4 * sizeof(struct lov_user_ost_data_v1)];
	static const uint32_t on[] = { 3, 1, 3, 0 };
	static uint32_t osts[LOV_MAX_OSTS];
	static struct lov_layout layout;
	struct lov_user_md md = { .lmm_magic = LOV_USER_MAGIC_V3, .lmm_pattern = LOV_PATTERN_RAID0, .lmm_stripe_count = 4, .lmm_pool_name = "fast" };

	memcpy(xattr, &md, sizeof(md));
	for (size_t i = 0; i < 4; i++) {
		struct lov_user_ost_data_v1 object = { .l_ost_idx = on[i] };

		memcpy(xattr + sizeof(md) + i * sizeof(object), &object, sizeof(object));
	}
	CHECK(lov_parse(&layout, xattr, sizeof(xattr)) == NULL && lov_osts(&layout, osts) == 3);
	CHECK(osts[0] == 0 && osts[1] == 1 && osts[2] == 3 && strcmp(lov_last(&layout)->pool, "fast") == 0);
	/* More are announced than are there. */
	CHECK(lov_parse(&layout, xattr, sizeof(xattr) - 30) == NULL && lov_osts(&layout, osts) == 2);
	CHECK(lov_parse(&layout, xattr, sizeof(md)) == NULL && lov_osts(&layout, osts) == 0);
	/* A released file shows its stripes, and has none. */
	md.lmm_pattern |= LOV_PATTERN_F_RELEASED;
	memcpy(xattr, &md, sizeof(md));
	CHECK(lov_parse(&layout, xattr, sizeof(xattr)) == NULL && lov_osts(&layout, osts) == 0);
}

static void test_fid_stack(void)
{
	enum { MANY = 5 * FID_STACK_CHUNK + 77 };
	struct fid_stack s;
	struct lu_fid fid;
	uint64_t wrong = 0;

	fid_stack_init(&s);
	CHECK(fid_stack_pop(&s, &fid) == 0);
	for (uint64_t i = 0; i < MANY; i++)
		wrong += !fid_stack_push(&s, &(struct lu_fid){ i, (uint32_t)i, 0 });
	CHECK(s.cap <= 2 * FID_STACK_CHUNK);
	for (uint64_t i = MANY; i-- > 3 * FID_STACK_CHUNK;)
		wrong += fid_stack_pop(&s, &fid) != 1 || fid.f_seq != i;
	/* Back up and down again. */
	for (uint64_t i = 3 * FID_STACK_CHUNK; i < MANY; i++)
		wrong += !fid_stack_push(&s, &(struct lu_fid){ i, 0, 0 });
	for (uint64_t i = MANY; i-- > 0;)
		wrong += fid_stack_pop(&s, &fid) != 1 || fid.f_seq != i;
	CHECK(wrong == 0 && fid_stack_pop(&s, &fid) == 0);
	fid_stack_free(&s);
}

static void test_version(void)
{
	unsigned major, minor;

	CHECK(llapi_parse_version("2.15.4_5_gabc", &major, &minor) && major == 2 && minor == 15);
	CHECK(!llapi_parse_version("git", &major, &minor) && !llapi_parse_version("2", &major, &minor));
}

int main(void)
{
	test_json();
	test_fields();
	test_buf();
	test_lines();
	test_hal();
	test_lov();
	test_items();
	test_sent_again();
	test_lanes();
	test_record();
	test_link();
	test_osts();
	test_fid_stack();
	test_version();
	json_free(&doc);
	free(text);
	return check_result("unit");
}
