#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

struct parser {
	struct json_doc *doc;
	char *p, *end;
};

static bool fail(struct parser *s, const char *error)
{
	if (!s->doc->error)
		s->doc->error = error;
	return false;
}

static void skip_space(struct parser *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static struct json *new_node(struct parser *s)
{
	if (s->doc->used == s->doc->cap) {
		fail(s, "too many values");
		return NULL;
	}

	struct json *node = &s->doc->nodes[s->doc->used++];

	*node = (struct json){ 0 };
	return node;
}

static bool hex4(const char *p, unsigned *value)
{
	*value = 0;
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)p[i];
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20u) - 'a' + 10;
		else
			return false;
		*value = *value << 4 | digit;
	}
	return true;
}

/* The code point after `\u`; s->p is moved behind it. */
static bool unicode_escape(struct parser *s, unsigned *code)
{
	unsigned low;

	if (s->end - s->p < 4 || !hex4(s->p, code))
		return fail(s, "bad \\u escape");
	s->p += 4;
	if (*code >= 0xdc00 && *code <= 0xdfff)
		return fail(s, "lone surrogate");
	if (*code >= 0xd800 && *code <= 0xdbff) {
		if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u' || !hex4(s->p + 2, &low) || low < 0xdc00 ||
		    low > 0xdfff)
			return fail(s, "lone surrogate");
		s->p += 6;
		*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	}
	if (*code == 0)
		return fail(s, "U+0000 in a string: send bytes as base64");
	return true;
}

static char *put_utf8(char *out, unsigned code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 63));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 63));
		*out++ = (char)(0x80 | (code & 63));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 63));
		*out++ = (char)(0x80 | (code >> 6 & 63));
		*out++ = (char)(0x80 | (code & 63));
	}
	return out;
}

/* s->p is behind the opening quote. An escape is never shorter than what it stands for, so unescaping fits in place. */
static bool parse_string(struct parser *s, const char **text, size_t *len)
{
	char *start = s->p, *out = s->p;

	for (;;) {
		if (s->p == s->end)
			return fail(s, "unterminated string");

		unsigned char c = (unsigned char)*s->p++;

		if (c == '"')
			break;
		if (c < 0x20)
			return fail(s, "control character in a string");
		if (c != '\\') {
			*out++ = (char)c;
			continue;
		}
		if (s->p == s->end)
			return fail(s, "unterminated string");

		unsigned code;

		switch (*s->p++) {
		case '"':
			*out++ = '"';
			break;
		case '\\':
			*out++ = '\\';
			break;
		case '/':
			*out++ = '/';
			break;
		case 'b':
			*out++ = '\b';
			break;
		case 'f':
			*out++ = '\f';
			break;
		case 'n':
			*out++ = '\n';
			break;
		case 'r':
			*out++ = '\r';
			break;
		case 't':
			*out++ = '\t';
			break;
		case 'u':
			if (!unicode_escape(s, &code))
				return false;
			out = put_utf8(out, code);
			break;
		default:
			return fail(s, "unknown escape");
		}
	}
	*len = (size_t)(out - start);
	*text = start;
	if (!utf8_valid(start, *len))
		return fail(s, "not UTF-8: send bytes as base64");
	*out = '\0'; /* at the latest where the closing quote was */
	return true;
}

static void digits(struct parser *s)
{
	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
}

static bool is_digit(const struct parser *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool parse_number(struct parser *s, struct json *node)
{
	node->text = s->p;
	if (s->p < s->end && *s->p == '-')
		s->p++;
	if (!is_digit(s))
		return fail(s, "bad value");
	if (*s->p == '0')
		s->p++;
	else
		digits(s);
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!is_digit(s))
			return fail(s, "bad number");
		digits(s);
	}
	if (s->p < s->end && (*s->p | 0x20) == 'e') {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!is_digit(s))
			return fail(s, "bad number");
		digits(s);
	}
	node->len = (size_t)(s->p - node->text);
	return true;
}

static bool literal(struct parser *s, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0)
		return false;
	s->p += len;
	return true;
}

static bool parse_value(struct parser *s, struct json *node, int depth);

static bool duplicate_key(const struct json *object, const struct json *member)
{
	for (const struct json *m = object->child; m != member; m = m->next)
		if (m->key_len == member->key_len && memcmp(m->key, member->key, m->key_len) == 0)
			return true;
	return false;
}

/* s->p is behind the opening bracket. */
static bool parse_container(struct parser *s, struct json *node, int depth)
{
	char close = node->type == JSON_OBJECT ? '}' : ']';
	struct json **link = &node->child;

	if (depth >= JSON_MAX_DEPTH)
		return fail(s, "nested too deeply");
	skip_space(s);
	if (s->p < s->end && *s->p == close) {
		s->p++;
		return true;
	}
	for (;;) {
		struct json *child = new_node(s);

		if (!child)
			return false;
		skip_space(s);
		if (node->type == JSON_OBJECT) {
			if (node->count >= JSON_MAX_KEYS)
				return fail(s, "too many members in an object");
			if (s->p == s->end || *s->p++ != '"')
				return fail(s, "a member's name was expected");
			if (!parse_string(s, &child->key, &child->key_len))
				return false;
			skip_space(s);
			if (s->p == s->end || *s->p++ != ':')
				return fail(s, "':' was expected");
			skip_space(s);
		}
		if (!parse_value(s, child, depth + 1))
			return false;
		*link = child;
		link = &child->next;
		node->count++;
		if (node->type == JSON_OBJECT && duplicate_key(node, child))
			return fail(s, "a member occurs twice");
		skip_space(s);
		if (s->p == s->end)
			return fail(s, "unterminated object or array");

		char c = *s->p++;

		if (c == close)
			return true;
		if (c != ',')
			return fail(s, "',' was expected");
	}
}

static bool parse_value(struct parser *s, struct json *node, int depth)
{
	if (s->p == s->end)
		return fail(s, "a value was expected");
	switch (*s->p) {
	case '{':
	case '[':
		node->type = *s->p++ == '{' ? JSON_OBJECT : JSON_ARRAY;
		return parse_container(s, node, depth);
	case '"':
		s->p++;
		node->type = JSON_STRING;
		return parse_string(s, &node->text, &node->len);
	case 't':
	case 'f':
		node->type = JSON_BOOL;
		node->boolean = *s->p == 't';
		return literal(s, node->boolean ? "true" : "false") || fail(s, "bad value");
	case 'n':
		node->type = JSON_NULL;
		return literal(s, "null") || fail(s, "bad value");
	default:
		node->type = JSON_NUMBER;
		return parse_number(s, node);
	}
}

const struct json *json_parse(struct json_doc *doc, char *text, size_t len)
{
	/* A value needs at least two bytes with its comma, so short lines get short arrays. */
	size_t cap = len / 2 + 2 < JSON_MAX_NODES ? len / 2 + 2 : JSON_MAX_NODES;

	*doc = (struct json_doc){ .nodes = calloc(cap, sizeof(struct json)), .cap = cap };
	if (!doc->nodes) {
		doc->error = "out of memory";
		doc->cap = 0;
		return NULL;
	}
	text[len] = '\0';

	struct parser s = { .doc = doc, .p = text, .end = text + len };
	struct json *root = new_node(&s);

	skip_space(&s);
	if (!root || !parse_value(&s, root, 0))
		return NULL;
	skip_space(&s);
	if (s.p != s.end) {
		fail(&s, "something follows the value");
		return NULL;
	}
	return root;
}

void json_free(struct json_doc *doc)
{
	free(doc->nodes);
	*doc = (struct json_doc){ 0 };
}

const struct json *json_get(const struct json *object, const char *key)
{
	size_t len = strlen(key);

	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *m = object->child; m; m = m->next)
		if (m->key_len == len && memcmp(m->key, key, len) == 0)
			return m;
	return NULL;
}
