/* SPDX-License-Identifier: Apache-2.0 */
#include "openvino.h"

/*
 * On some processors, and under some masks of processors, versions of OpenVINO divide by zero when
 * they compile whatever model. It is tried in a child first: then this is a sentence, and the host
 * takes another engine, where otherwise its worker would die at each of its starts.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000

/* A product of a row of any length and itself. */
static const char model[] =
	"<net name=\"probe\" version=\"11\"><layers>"
	"<layer id=\"0\" name=\"x\" type=\"Parameter\" version=\"opset1\">"
	"<data shape=\"?,16\" element_type=\"f32\"/><output>"
	"<port id=\"0\" precision=\"FP32\"><dim>-1</dim><dim>16</dim></port></output></layer>"
	"<layer id=\"1\" name=\"y\" type=\"MatMul\" version=\"opset1\">"
	"<data transpose_a=\"false\" transpose_b=\"true\"/><input>"
	"<port id=\"0\" precision=\"FP32\"><dim>-1</dim><dim>16</dim></port>"
	"<port id=\"1\" precision=\"FP32\"><dim>-1</dim><dim>16</dim></port></input><output>"
	"<port id=\"2\" precision=\"FP32\"><dim>-1</dim><dim>-1</dim></port></output></layer>"
	"<layer id=\"2\" name=\"z\" type=\"Result\" version=\"opset1\"><input>"
	"<port id=\"0\" precision=\"FP32\"><dim>-1</dim><dim>-1</dim></port></input></layer>"
	"</layers><edges>"
	"<edge from-layer=\"0\" from-port=\"0\" to-layer=\"1\" to-port=\"0\"/>"
	"<edge from-layer=\"0\" from-port=\"0\" to-layer=\"1\" to-port=\"1\"/>"
	"<edge from-layer=\"1\" from-port=\"2\" to-layer=\"2\" to-port=\"0\"/>"
	"</edges></net>";

static int probe_run(struct openvino *o, ov_compiled *c, struct sconce_error *e)
{
	const struct ov_api *a = &o->api;
	int64_t dims[2] = { 1, 16 };
	float row[16] = { 1 };
	ov_request *q = NULL;
	ov_tensor *t = NULL;
	int r = openvino_check(o, a->compiled_model_create_infer_request(c, &q), e);

	if (!r)
		r = openvino_check(o,
				   a->tensor_create_from_host_ptr(o->types[SCONCE_FP32],
								  (struct ov_shape){ 2, dims }, row,
								  &t),
				   e);
	if (!r)
		r = openvino_check(o, a->infer_request_set_input_tensor_by_index(q, 0, t), e);
	if (!r)
		r = openvino_check(o, a->infer_request_start_async(q), e);
	return r ? r : openvino_check(o, a->infer_request_wait(q), e);
}

/* In the child, which ends without tidying up. */
static int probe_try(struct openvino *o, struct sconce_error *e)
{
	const struct ov_api *a = &o->api;
	ov_compiled *c = NULL;
	ov_model *m = NULL;
	int r = openvino_check(
		o, a->core_read_model_from_memory_buffer(o->core, model, strlen(model), NULL, &m),
		e);

	if (!r)
		r = openvino_check(o, a->core_compile_model(o->core, m, OPENVINO_DEVICE, 0, &c), e);
	return r ? r : probe_run(o, c, e);
}

static _Noreturn void probe_child(struct openvino *o, int to)
{
	struct sconce_error e = { "" };
	int null = open("/dev/null", O_WRONLY);
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It is expected, and neither a handler nor a file of the host's has to tell of it. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	r = probe_try(o, &e);
	_exit(write(to, e.text, r ? strlen(e.text) : 0) < 0 || r ? 1 : 0);
}

static int probe_verdict(struct openvino *o, int status, const char *said, struct sconce_error *e)
{
	static const char advice[] = "take another engine, or another version of it, as in "
				     "`pip install \"openvino<2025.3\"`";

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return kit_fail(e, -1,
				"OpenVINO %s hangs, or is killed, when it compiles a model "
				"here: %s",
				o->version, advice);
	if (WIFSIGNALED(status))
		return kit_fail(e, -1,
				"OpenVINO %s crashes on this processor when it compiles a "
				"model (signal %d, %s): %s",
				o->version, WTERMSIG(status), strsignal(WTERMSIG(status)), advice);
	if (status)
		return kit_fail(e, -1, "OpenVINO %s does not work here: %.600s", o->version, said);
	return 0;
}

int openvino_probe(struct openvino *o, struct sconce_error *e)
{
	char said[SCONCE_ERROR_MAX] = "";
	struct pollfd p = { .events = POLLIN };
	int ends[2], status = 0;
	ssize_t n = 0;
	pid_t pid;
	int r;

	if (openvino_was_tried(o))
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return kit_fail(e, -1, "there is no pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		probe_child(o, ends[1]);
	close(ends[1]);
	p.fd = ends[0];
	if (pid > 0 && poll(&p, 1, PATIENCE_MS) == 1)
		n = read(ends[0], said, sizeof(said) - 1);
	else if (pid > 0)
		kill(pid, SIGKILL);
	close(ends[0]);
	said[n > 0 ? n : 0] = '\0';
	if (pid < 0)
		return kit_fail(e, -1, "there is no process: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	r = probe_verdict(o, status, said, e);
	if (!r)
		openvino_remember_tried(o);
	return r;
}
