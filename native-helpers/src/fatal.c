#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "helper.h"
#include "out.h"

void fatal(const char *code, int rc, long holder, const char *format, ...)
{
	char text[PATH_MAX + 512];
	struct buf b = { 0 };
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	buf_printf(&b, "{\"t\":\"fatal\",\"code\":\"%s\",\"rc\":%d,\"message\":", code, rc);
	buf_json_string(&b, text, strlen(text));
	if (holder > 0)
		buf_printf(&b, ",\"holder\":%ld", holder);
	buf_str(&b, "}");
	out_line(&b);
	buf_free(&b);
	note("%s", text);
}
