/* The library's messages: level, callbacks, and the default that prints to standard error. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lustre_abi.h"

bool liblustreapi_initialized = true;

static int msg_level = LLAPI_MSG_MAX;
static const char *command;

static void print_who(FILE *to)
{
	fprintf(to, command ? "%s %s: " : "%s: ", program_invocation_short_name, command);
}

static void print_error(enum llapi_message_level level, int err, const char *fmt, va_list ap)
{
	size_t n = strlen(fmt);
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		return;
	if (n > 0 && fmt[n - 1] == '\n')
		text[strlen(text) - 1] = '\0';
	flockfile(stderr);
	print_who(stderr);
	if (level & LLAPI_MSG_NO_ERRNO)
		fprintf(stderr, "%s\n", text);
	else
		fprintf(stderr, "%s: %s (%d)\n", text, strerror(err), err);
	funlockfile(stderr);
	free(text);
}

static void print_info(enum llapi_message_level level, int err, const char *fmt, va_list ap)
{
	(void)level;
	if (err != 0)
		print_who(stdout);
	vprintf(fmt, ap);
}

static llapi_log_callback_t error_callback = print_error;
static llapi_log_callback_t info_callback = print_info;

void llapi_msg_set_level(int level)
{
	msg_level = level < LLAPI_MSG_OFF ? LLAPI_MSG_OFF : level > LLAPI_MSG_MAX ? LLAPI_MSG_MAX : level;
}

int llapi_msg_get_level(void)
{
	return msg_level;
}

llapi_log_callback_t llapi_error_callback_set(llapi_log_callback_t cb)
{
	llapi_log_callback_t old = error_callback;

	error_callback = cb != NULL ? cb : print_error;
	return old;
}

llapi_log_callback_t llapi_info_callback_set(llapi_log_callback_t cb)
{
	llapi_log_callback_t old = info_callback;

	info_callback = cb != NULL ? cb : print_info;
	return old;
}

void llapi_set_command_name(const char *cmd)
{
	command = cmd;
}

void llapi_clear_command_name(void)
{
	command = NULL;
}

void llapi_error(enum llapi_message_level level, int err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if ((int)(level & LLAPI_MSG_MASK) > msg_level)
		return;
	va_start(ap, fmt);
	error_callback(level, abs(err), fmt, ap);
	va_end(ap);
	errno = saved;
}

void llapi_printf(enum llapi_message_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if ((int)(level & LLAPI_MSG_MASK) > msg_level)
		return;
	va_start(ap, fmt);
	info_callback(level, 0, fmt, ap);
	va_end(ap);
	errno = saved;
}
