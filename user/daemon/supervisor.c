// SPDX-License-Identifier: GPL-2.0-only
#include "daemon/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/instances.h"
#include "attach/lock.h"
#include "attach/steer.h"
#include "daemon/listen.h"
#include "daemon/worker.h"
#include "kernel/caps.h"
#include "kernel/mounts.h"
#include "kernel/netns.h"
#include "kernel/selftest.h"

#define DRAIN_MS 10000
/* A worker that ended sooner than this could not begin: the next one is given as long. */
#define RESTART_MS 1000
/*
 * One that is killed serves at once again; only where so many in a row have lived for less than
 * this is it one that cannot begin.
 */
#define KILLED_MS 100
#define KILLED_MAX 8
/* Between two looks at what is attached. */
#define STEER_MS 1000

struct supervisor {
	const struct sl_supervisor_options *o;
	const char *instance;
	struct sl_compiled *compiled;
	struct sl_load_error *err;
	struct sl_loader *loader;
	struct sl_maps maps;
	struct sl_rcu *rcu; /* the workers' */
	int listen_fds[SL_MAX_LISTENERS];
	__u32 n_listen;
	int netns_fds[SL_MAX_NETNS];
	__u32 n_netns;
	struct sl_steer *steer;
	unsigned int unused; /* looks at which nothing was attached and no session open */
	int lock_fd;
	int signal_fd;
	struct sl_shared *shared;
	char outcome[256];
	char wanted[256];
	pid_t worker; /* 0: none; the next one begins at restart_ms */
	__u64 started_ms;
	__u64 restart_ms;
	unsigned int n_short; /* workers in a row that ended within RESTART_MS or KILLED_MS */
	bool stopping;
};

static int failed(struct supervisor *s, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->err->text, sizeof(s->err->text), fmt, ap);
	va_end(ap);
	return rc;
}

static int check_privileges(struct supervisor *s)
{
	char missing[128];
	int rc = sl_caps_check(missing, sizeof(missing));

	if (rc == -EPERM)
		return failed(s, rc, "needs root, or at least the missing %s", missing);
	return rc;
}

/* One supervisor an instance: the lock lives as long as the fd table, and no longer. */
static int take_lock(struct supervisor *s)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[256];

	if (mkdir(SL_RUN_DIR, 0700) && errno != EEXIST)
		return failed(s, -errno, "cannot make " SL_RUN_DIR ": %s", strerror(errno));
	snprintf(path, sizeof(path), SL_RUN_DIR "/%s.lock", s->instance);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return failed(s, -errno, "cannot open %s: %s", path, strerror(errno));
	if (fcntl(s->lock_fd, F_OFD_SETLK, &lock))
		return failed(s, -EBUSY, "instance '%s' runs already (another has %s)", s->instance,
			      path);
	return 0;
}

static int open_netns(struct supervisor *s)
{
	for (__u32 i = 0; i < s->compiled->n_netns; i++) {
		int fd = sl_netns_open(s->compiled->netns[i]);

		if (fd < 0)
			return failed(s, fd, "cannot open the network namespace '%s': %s",
				      s->compiled->netns[i],
				      fd == -EINVAL ? "it is none" : strerror(-fd));
		s->netns_fds[s->n_netns++] = fd;
	}
	return 0;
}

static int open_listeners(struct supervisor *s)
{
	for (__u32 i = 0; i < s->compiled->n_listeners; i++) {
		const struct sl_listener *l = &s->compiled->listeners[i];
		int fd;

		if (l->l4) {
			s->listen_fds[s->n_listen++] = -1;
			continue;
		}
		fd = sl_listen_open(&s->maps, s->compiled, i,
				    l->netns ? s->netns_fds[l->netns - 1] : -1);
		if (fd < 0)
			return failed(s, fd, "listener '%s': cannot listen on port %u: %s",
				      s->compiled->listeners[i].name,
				      s->compiled->listeners[i].port, strerror(-fd));
		s->listen_fds[s->n_listen++] = fd;
	}
	return 0;
}

/* Switches @doors off, if they are on, and says why. */
static void doors_off(struct supervisor *s, __u32 doors, const char *why, const char *effect)
{
	if (!(__sync_fetch_and_and(&s->maps.control->flags, ~doors) & doors))
		return;
	fprintf(stderr, "sluice run: warning: kernel self-test: %s; %s\n", why, effect);
}

#define COLOCATED (SL_C_COLOCATED_CLIENTS | SL_C_COLOCATED_SERVERS)
#define AS_REMOTE "clients and servers on this host are treated as remote ones"

/* What this kernel does not do as the data path needs it is switched off before capture begins. */
static void test_kernel(struct supervisor *s)
{
	struct sl_selftest t;
	int rc;

	if (s->maps.control->flags & SL_C_BYPASS)
		return;
	rc = sl_selftest_run(&t);
	if (rc) {
		snprintf(t.why_colocated, sizeof(t.why_colocated), "could not run: %s",
			 strerror(-rc));
		t.colocated = false;
	}
	if (!t.colocated)
		doors_off(s, COLOCATED, t.why_colocated, AS_REMOTE);
	if (t.colocated && !t.canned)
		doors_off(s, SL_C_CANNED, t.why_canned, "routes' own answers take the user path");
}

/* The same for the pairing of far ends, which needs capture. */
static void test_pairing(struct supervisor *s)
{
	char why[SL_WHY_MAX];

	if (sl_selftest_pairing(&s->maps, why))
		doors_off(s, COLOCATED, why, AS_REMOTE);
}

/* Envoy's default: as many as there are hardware threads for us. */
static __u32 concurrency(const struct sl_supervisor_options *o)
{
	cpu_set_t cpus;
	__u32 n = o->concurrency;

	if (!n)
		n = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
	return n < SL_MAX_THREADS ? n : SL_MAX_THREADS;
}

static int load(struct supervisor *s)
{
	int rc, cgroup;

	rc = sl_bpffs_ensure();
	if (rc)
		return failed(s, rc, "no bpffs at /sys/fs/bpf, and cannot mount it: %s",
			      strerror(-rc));
	rc = sl_loader_clean(s->instance);
	if (rc)
		return failed(s, rc, "cannot remove what an earlier run left pinned: %s",
			      strerror(-rc));
	rc = sl_loader_load(s->instance, s->compiled, concurrency(s->o), &s->loader, s->err);
	if (rc)
		return rc;
	rc = sl_maps_open(&s->maps, s->instance);
	if (!rc)
		rc = sl_maps_open_heads(&s->maps);
	if (rc)
		return failed(s, rc, "cannot open the pinned maps: %s", strerror(-rc));
	rc = sl_rcu_open(&s->rcu);
	if (rc)
		return failed(s, rc, "cannot wait for programs: %s", strerror(-rc));
	s->maps.control->n_endpoints = s->compiled->table->n_endpoints;
	for (__u32 i = 0; i < s->compiled->table->n_endpoints; i++)
		s->maps.hosts[i].member = s->compiled->hosts[i].member + 1;
	sl_listen_limits(s->maps.control, s->compiled);
	rc = open_netns(s);
	if (!rc)
		rc = open_listeners(s);
	if (rc)
		return rc;
	rc = sl_listen_publish(&s->maps, s->compiled, s->netns_fds);
	if (rc)
		return failed(s, rc, "cannot publish the listeners' addresses: %s", strerror(-rc));
	test_kernel(s);
	cgroup = sl_cgroup2_open();
	if (cgroup < 0)
		return failed(s, cgroup, "no cgroup2, and cannot mount it: %s", strerror(-cgroup));
	rc = sl_loader_attach(s->loader, cgroup, s->err);
	close(cgroup);
	if (rc)
		return rc;
	test_pairing(s);
	return sl_steer_start(&s->maps, s->compiled, s->listen_fds, s->netns_fds, &s->steer,
			      s->err);
}

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static int run_worker(struct supervisor *s, pid_t supervisor)
{
	const struct sl_worker_args args = {
		.instance = s->instance,
		.maps = &s->maps,
		.rcu = s->rcu,
		.compiled = s->compiled,
		.listen_fds = s->listen_fds,
		.netns_fds = s->netns_fds,
		.shared = s->shared,
		.signal_fd = s->signal_fd,
		.drain_ms = DRAIN_MS,
	};

	/* Without its supervisor nobody would start the next one: drain. It may have died by now.
	 * (raise() knows the thread that has called clone(), not us.) */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != supervisor)
		kill(getpid(), SIGTERM);
	prctl(PR_SET_NAME, "sluice-worker");
	s->maps.control->worker = getpid();
	return sl_worker_run(&args) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int start_worker(struct supervisor *s)
{
	/* fork() but for the file descriptors: CLONE_FILES without CLONE_VM. */
	pid_t supervisor = getpid();
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return failed(s, -errno, "cannot start the worker: %s", strerror(errno));
	if (!pid)
		_exit(run_worker(s, supervisor));
	s->worker = pid;
	s->started_ms = now_ms();
	return 0;
}

/*
 * The worker ended: on purpose, or it is replaced. Sessions and what BPF does outlive any number of
 * workers, so only where none has served yet is there nothing to wait for.
 */
static int reap(struct supervisor *s)
{
	__u64 now = now_ms();
	bool later;
	int status;

	if (!s->worker || waitpid(s->worker, &status, WNOHANG) != s->worker)
		return 0;
	s->worker = 0;
	if (s->stopping)
		return 0;
	if (now - s->started_ms < (WIFEXITED(status) ? RESTART_MS : KILLED_MS))
		s->n_short++;
	else
		s->n_short = 0;
	if (WIFEXITED(status) && !SL_READ(s->shared->served))
		return failed(s, -EIO, "the worker cannot start");
	later = s->n_short > (WIFEXITED(status) ? 0 : KILLED_MAX);
	s->restart_ms = now + (later ? RESTART_MS : 0);
	fprintf(stderr, "sluice: worker died (%s %d), starting another%s\n",
		WIFSIGNALED(status) ? "signal" : "exit",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		later ? " in a second" : "");
	return 0;
}

/* The next one, when its time has come. */
static void replace(struct supervisor *s)
{
	if (s->worker || s->stopping || now_ms() < s->restart_ms || !start_worker(s))
		return;
	fprintf(stderr, "sluice: %s\n", s->err->text);
	s->restart_ms = now_ms() + RESTART_MS;
}

/*
 * Begins the end; @unused: only if nothing is attached, which nothing can be afterwards: see
 * SL_C_ENDING.
 */
static void stop(struct supervisor *s, bool unused)
{
	int lock = sl_lock_steering();

	if (!unused || !sl_steer_is_on(s->steer)) {
		__sync_fetch_and_or(&s->maps.control->flags, SL_C_ENDING);
		s->stopping = true;
	}
	if (lock >= 0)
		close(lock);
	if (s->stopping && s->worker > 0)
		kill(s->worker, SIGTERM);
}

static bool sessions_are_open(const struct supervisor *s)
{
	for (__u32 i = 0; i < SL_MAX_SESSIONS; i++)
		if (SL_READ(s->maps.sessions[i].word) & SL_S_FRONT)
			return true;
	return false;
}

/* What has to be looked after while anything is attached. */
static void look_after(struct supervisor *s)
{
	sl_steer_refresh(s->steer);
	if (!s->o->until_detached || s->stopping)
		return;
	/* Twice: a handshake with us may have been under way. */
	s->unused = sl_steer_is_on(s->steer) || sessions_are_open(s) ? 0 : s->unused + 1;
	if (s->unused > 1)
		stop(s, true);
}

static void read_signals(struct supervisor *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			continue;
		if (si.ssi_signo != SIGHUP) {
			stop(s, false);
			continue;
		}
		/* One that has died hears nothing; the next one sees it. */
		sl_add(&s->shared->asked, 1);
		if (s->worker > 0)
			kill(s->worker, SIGHUP);
	}
}

/* Until a signal comes, something has to be looked after, or a worker is to begin. */
static int wait_ms(const struct supervisor *s)
{
	int ms = sl_steer_has_l4(s->steer) || s->o->until_detached ? STEER_MS : -1;
	__u64 now = now_ms();

	if (s->worker)
		return ms;
	if (s->restart_ms <= now)
		return 0;
	return ms < 0 || s->restart_ms - now < (__u64)ms ? (int)(s->restart_ms - now) : ms;
}

static int supervise(struct supervisor *s)
{
	struct pollfd p = {.fd = s->signal_fd, .events = POLLIN};
	bool steers = sl_steer_has_l4(s->steer) || s->o->until_detached;
	int rc = 0;

	while (!rc && (s->worker || !s->stopping)) {
		if (poll(&p, 1, wait_ms(s)) < 0 && errno != EINTR)
			return failed(s, -errno, "poll: %s", strerror(errno));
		read_signals(s);
		if (steers)
			look_after(s);
		rc = reap(s);
		if (!rc)
			replace(s);
	}
	return rc;
}

static int block_signals(struct supervisor *s)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return failed(s, -errno, "sigprocmask: %s", strerror(errno));
	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signal_fd < 0)
		return failed(s, -errno, "signalfd: %s", strerror(errno));
	return 0;
}

/* What outlives a worker: which text is served. */
static int share(struct supervisor *s)
{
	void *p = mmap(NULL, sizeof(*s->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		return failed(s, -errno, "out of memory");
	snprintf(s->outcome, sizeof(s->outcome), SL_RELOAD_OUTCOME, s->instance);
	s->shared = p;
	if (s->o->config)
		snprintf(s->shared->config, sizeof(s->shared->config), "%s", s->o->config);
	snprintf(s->wanted, sizeof(s->wanted), SL_RELOAD_WANTED, s->instance);
	(void)unlink(s->wanted);
	s->shared->wanted = s->wanted;
	s->shared->outcome = s->outcome;
	s->shared->text_fd = -1;
	return 0;
}

/* Two sockets a session: as many descriptors as the hard limit allows. */
static void raise_fd_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
}

static void say_warning(const char *text)
{
	fprintf(stderr, "sluice run: warning: %s\n", text);
}

/* Connections are steered to us when there is somebody to accept them. */
static int serve(struct supervisor *s)
{
	int rc;

	s->maps.control->supervisor = getpid();
	if (s->o->until_detached)
		__sync_fetch_and_or(&s->maps.control->flags, SL_C_UNTIL_DETACHED);
	rc = start_worker(s);
	if (rc)
		return rc;
	rc = sl_steer_on(s->steer, say_warning);
	if (rc)
		return failed(s, rc, "cannot steer connections: %s", strerror(-rc));
	if (s->o->ready)
		s->o->ready();
	return supervise(s);
}

int sl_supervisor_run(const struct sl_supervisor_options *o, struct sl_compiled *c,
		      struct sl_load_error *reterr)
{
	struct supervisor s = {
		.o = o,
		.instance = o->instance,
		.compiled = c,
		.err = reterr,
		.lock_fd = -1,
		.signal_fd = -1,
	};
	int rc;

	prctl(PR_SET_NAME, "sluice"); /* also when it was started by /proc/self/exe */
	raise_fd_limit();
	rc = check_privileges(&s);
	if (!rc)
		rc = take_lock(&s);
	if (!rc)
		rc = block_signals(&s);
	if (!rc)
		rc = share(&s);
	if (!rc)
		rc = load(&s);
	if (!rc)
		rc = serve(&s);
	sl_steer_free(s.steer);
	if (s.shared) {
		(void)unlink(s.outcome);
		if (s.shared->text_fd >= 0)
			close(s.shared->text_fd);
		munmap(s.shared, sizeof(*s.shared));
	}
	for (__u32 i = 0; i < s.n_listen; i++)
		if (s.listen_fds[i] >= 0)
			close(s.listen_fds[i]);
	for (__u32 i = 0; i < s.n_netns; i++)
		close(s.netns_fds[i]);
	sl_maps_close(&s.maps);
	sl_loader_unload(s.loader);
	if (s.signal_fd >= 0)
		close(s.signal_fd);
	if (s.lock_fd >= 0)
		close(s.lock_fd);
	return rc;
}
