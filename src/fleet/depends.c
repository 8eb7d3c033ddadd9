/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/depends.h"

#include <errno.h>

#include "base/mem.h"
#include "base/util.h"
#include "child/child.h"
#include "fleet/fleet.h"
#include "child/job.h"
#include "log/log.h"

/* TorchServe's environments see the packages of the Python that made them. */
static const char depends_make_venv[] =
	"import site, sys, sysconfig, venv\n"
	"venv.create(sys.argv[1], clear=True, with_pip=True)\n"
	"names = {'base': sys.argv[1], 'platbase': sys.argv[1]}\n"
	"own = sysconfig.get_path('purelib', vars=names)\n"
	"seen = site.getsitepackages()\n"
	"seen += [site.getusersitepackages()] if site.ENABLE_USER_SITE else []\n"
	"with open(own + '/inherited-site-packages.pth', 'w') as f:\n"
	"    f.writelines(path + '\\n' for path in seen)\n";

struct depends {
	struct version *version;
	char *label, *requirements;
	void (*done)(void *arg, const char *failed);
	void *arg;
};

bool depends_wanted(const struct version *v)
{
	return v->fleet->settings->install_py_dep_per_model && v->manifest.requirements_file.n;
}

static void depends_finish(struct depends *d, const struct job_end *end, const char *what)
{
	_cleanup_(freep) char *text = NULL;
	char how[96] = "could not be started";

	if (end->stopped) {
		text = mem_strdup("The server is stopping");
	} else if (end->status) {
		text = mem_printf("%s failed for model %s", what, d->version->model_name);
		if (end->status > 0)
			child_describe(end->status, how, sizeof(how));
		log_error("%s: %s: it %s%s", d->label, text, how,
			  end->late ? " after install_py_dep_timeout" : "");
	}
	d->done(d->arg, text);
	free(d->label);
	free(d->requirements);
	free(d);
}

static void depends_run(struct depends *d, const char *const *argv,
			void (*ended)(void *arg, const struct job_end *end))
{
	struct fleet *f = d->version->fleet;
	struct job_spec spec = { .kind = JOB_INSTALL,
				 .file = argv[0],
				 .argv = argv,
				 .cwd = d->version->dir,
				 .limit_ms = f->settings->install_py_dep_timeout * 1000,
				 .log = d->label };

	job_start(&f->jobs, &spec, ended, d);
}

static void depends_installed(void *arg, const struct job_end *end)
{
	depends_finish(arg, end, "Custom pip package installation");
}

static void depends_into_folder(struct depends *d)
{
	const char *const argv[] = { d->version->fleet->python.executable,
				     "-m",
				     "pip",
				     "install",
				     "--disable-pip-version-check",
				     "-U",
				     "-t",
				     d->version->dir,
				     "-r",
				     d->requirements,
				     NULL };

	depends_run(d, argv, depends_installed);
}

static void depends_venv_made(void *arg, const struct job_end *end)
{
	struct depends *d = arg;
	struct version *v = d->version;

	if (end->stopped || end->status) {
		depends_finish(d, end, "Virtual environment creation");
		return;
	}
	v->python = mem_printf("%s/venv/bin/python", v->dir);
	const char *const argv[] = { v->python,
				     "-m",
				     "pip",
				     "install",
				     "--disable-pip-version-check",
				     "-U",
				     "--upgrade-strategy",
				     "only-if-needed",
				     "-r",
				     d->requirements,
				     NULL };

	depends_run(d, argv, depends_installed);
}

static void depends_into_venv(struct depends *d)
{
	_cleanup_(freep) char *venv = mem_printf("%s/venv", d->version->dir);
	const char *const argv[] = { d->version->fleet->python.executable, "-c", depends_make_venv,
				     venv, NULL };

	depends_run(d, argv, depends_venv_made);
}

void depends_install(struct version *v, void (*done)(void *arg, const char *failed), void *arg)
{
	struct depends *d = mem_new(struct depends);

	d->version = v;
	d->label = mem_printf("pip-%s_%s", v->model_name, v->name);
	d->requirements = mem_printf("%s/%.*s", v->dir, SLICE_ARG(v->manifest.requirements_file));
	d->done = done;
	d->arg = arg;
	log_info("Installing the packages of model %s version %s", v->model_name, v->name);
	if (!v->fleet->python.executable)
		depends_finish(d, &(struct job_end){ .status = -ENOEXEC },
			       "Custom pip package installation");
	else if (v->manifest.use_venv)
		depends_into_venv(d);
	else
		depends_into_folder(d);
}
