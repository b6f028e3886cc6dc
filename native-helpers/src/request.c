#include "request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "out.h"

enum { LANE_LINE_MAX = 1024 };
enum { N_BITS = 53 }; /* what a JavaScript number holds exactly */

int bad_request(struct request *rq)
{
	return failed(rq, -EINVAL, "%s", rq->fields.error);
}

int failed(struct request *rq, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(rq->error, sizeof(rq->error), format, ap);
	va_end(ap);
	return rc;
}

const char *request_decode(const struct json *object, const char **op, uint64_t *n)
{
	const struct json *name = json_get(object, "op"), *number = json_get(object, "n");

	if (object->type != JSON_OBJECT)
		return "a request is an object";
	if (!number || number->type != JSON_NUMBER || !parse_u64(number->text, number->len, n) || *n >> N_BITS)
		return "n must be an integer from 0 to 2^53-1";
	if (!name || name->type != JSON_STRING)
		return "op must be a string";
	*op = name->text;
	return NULL;
}

static const struct op *find_op(const struct mode *mode, const char *name)
{
	const struct op *tables[] = { file_ops, mode->ops };

	for (size_t t = 0; t < 2; t++)
		for (const struct op *op = tables[t]; op && op->name; op++)
			if (strcmp(op->name, name) == 0)
				return op;
	return NULL;
}

/* The reply to `quit` is the last line: written by main, when all is ended. */
static int quit(struct request *rq, uint64_t n)
{
	uint32_t errval = rq->h->quit_errval;
	uint64_t one = 1;

	if (!field_u32(&rq->fields, "errval", false, &errval))
		return bad_request(rq);
	if (errval == 0 || errval > 4095) {
		field_bad(&rq->fields, "errval", "must be a positive errno");
		return bad_request(rq);
	}
	rq->h->quit_errval = errval;
	rq->h->quit_n = (long long)n;
	if (write(rq->h->stop_fd, &one, sizeof(one)) < 0)
		note("cannot stop: %s", strerror(errno));
	return 0;
}

static void reply(uint64_t n, int rc, struct request *rq, const struct buf *rest)
{
	struct buf b = { 0 };

	buf_printf(&b, "{\"t\":\"reply\",\"n\":%llu,\"rc\":%d", (unsigned long long)n, rc);
	if (rc < 0) {
		char text[sizeof(rq->error) + 128];
		int len = snprintf(text, sizeof(text), "%s%s%s", rq->error, rq->error[0] ? ": " : "", strerror(-rc));

		buf_str(&b, ",\"error\":");
		buf_json_string(&b, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
	}
	buf_add(&b, rest->data, rest->len);
	b.failed |= rest->failed;
	buf_str(&b, "}");
	if (b.failed) {
		buf_free(&b);
		buf_printf(&b, "{\"t\":\"reply\",\"n\":%llu,\"rc\":%d,\"error\":\"out of memory\"}",
			   (unsigned long long)n, -ENOMEM);
	}
	out_line(&b);
	buf_free(&b);
}

enum lane request_lane(const char *line, size_t len, uint64_t *sequence)
{
	char copy[LANE_LINE_MAX + 1];
	enum lane lane = LANE_GENERAL;
	struct json_doc doc;
	const struct json *object, *op, *errval, *name;
	struct lu_fid fid;
	uint64_t value;

	*sequence = 0;
	if (len > LANE_LINE_MAX)
		return lane; /* longer than any that is meant to be quick */
	memcpy(copy, line, len);
	object = json_parse(&doc, copy, len);
	if (object && object->type == JSON_OBJECT && (op = json_get(object, "op")) && op->type == JSON_STRING) {
		errval = json_get(object, "errval");
		if (strcmp(op->text, "progress") == 0)
			lane = LANE_PROGRESS;
		else if (strcmp(op->text, "drop") == 0 ||
			 (strcmp(op->text, "end") == 0 && errval && errval->len > 0 &&
			  !(parse_u64(errval->text, errval->len, &value) && value == 0)))
			lane = LANE_END;
		name = lane == LANE_GENERAL ? NULL : json_get(object, "fid");
		if (name && name->type == JSON_STRING && parse_fid(name->text, name->len, &fid))
			*sequence = fid.f_seq;
	}
	json_free(&doc);
	return lane;
}

void request_work(void *ctx, char *line, size_t len)
{
	const struct request_context *c = ctx;
	struct json_doc doc;
	const struct json *object = json_parse(&doc, line, len);
	const char *name = NULL;
	uint64_t n = 0;
	const char *wrong = object ? request_decode(object, &name, &n) : doc.error;

	if (wrong) {
		out_error(-EINVAL, "a line that is no request was ignored: %s", wrong);
	} else {
		struct request rq = { .h = c->h, .object = object, .fields = { .object = object } };
		struct buf out = { 0 };
		int rc = 0;

		if (strcmp(name, "quit") == 0) {
			rc = quit(&rq, n);
			if (rc < 0)
				reply(n, rc, &rq, &out);
		} else {
			const struct op *op = find_op(c->mode, name);

			rc = op ? op->run(&rq, &out) : failed(&rq, -ENOSYS, "unknown op '%.64s'", name);
			reply(n, rc, &rq, &out);
			if (rq.event.len > 0)
				out_line(&rq.event);
		}
		buf_free(&out);
		buf_free(&rq.event);
	}
	json_free(&doc);
	free(line);
}
