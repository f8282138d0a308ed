package node

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/annals-go/annals/cmd/node/web"
)

// newWeb returns what one process serves over HTTP.
func newWeb(s *Session, at web.Address, a asked, metrics *prometheus.Registry, probe func() []web.Check) *web.Server {
	return web.New(web.Config{At: at, Access: a.web, Metrics: metrics, Probe: probe, Logger: s.Logger()})
}

// newMetrics returns the registry of one node: not the process's global one,
// so that several nodes may live in one process.
func newMetrics(app App) *prometheus.Registry {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "annals_build_info",
		Help: "What is running: always 1, the facts are in the labels.",
		ConstLabels: prometheus.Labels{
			"application": app.Name, "version": version(app), "revision": revision(), "goversion": runtime.Version(),
		},
	})
	build.Set(1)
	r := prometheus.NewRegistry()
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// version is the application's, else the one that the build recorded; "" when
// it recorded none, as in a build from a working copy.
func version(app App) string {
	if app.Version != "" {
		return app.Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}

var semanticVersion = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// semantic is the version in the form that NATS services want; "" if it has
// another one.
func semantic(app App) string {
	v := strings.TrimPrefix(version(app), "v")
	if !semanticVersion.MatchString(v) {
		return ""
	}
	return v
}

// revision is the commit that was built, with "+" when files were changed.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var commit, changed string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	return commit + changed
}
