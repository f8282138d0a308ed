package permissions

import (
	"slices"
	"strings"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// SyncSubject is where the process of an embedded server says that its disk has what was written.
const SyncSubject = "annals.sync"

// The roles that users have.
const (
	roleClient      = "client"
	roleNode        = "node"
	roleProjector   = "projector"
	roleOperator    = "operator"
	rolePrivacy     = gateway.RolePrivacyOfficer
	roleArchivist   = "archivist"
	roleAuditor     = "auditor"
	roleProvisioner = "provisioner"
)

var roles = []string{roleClient, roleNode, roleProjector, roleOperator, rolePrivacy, roleArchivist, roleAuditor, roleProvisioner}

// Roles lists all of them, in the order in which users are printed.
func Roles() []string { return slices.Clone(roles) }

// CheckRole refuses what is no role. The error is a [*store.InvalidError].
func CheckRole(role string) error {
	if !slices.Contains(roles, role) {
		return &store.InvalidError{What: "role", Value: role, Reason: "want " + strings.Join(roles, ", ")}
	}
	return nil
}

// mayRespond reports whether a role may answer where a message says. Those who
// watch a view confirm so what they took, for they know no node's inboxes. Nodes may
// not: a client says where it wants its answer, and could choose any subject.
func mayRespond(role string) bool {
	return role == roleClient || role == roleOperator || role == rolePrivacy
}

// rules are what a user may do: what its role needs, and its own inboxes.
func (g *grounds) rules(u Holder) []Rule {
	var all []Rule
	switch u.Role {
	case roleClient:
		all = g.client(u.Name)
	case roleNode:
		all = g.node()
	case roleProjector:
		all = g.projector()
	case roleOperator:
		all = g.operator(u.Name)
	case rolePrivacy:
		all = g.privacyOfficer(u.Name)
	case roleArchivist:
		all = g.archivist(u.Name)
	case roleAuditor:
		all = g.auditor(u.Name)
	case roleProvisioner:
		all = g.provisioner(u.Name)
	}
	return append(all, Rule{Why: "answers to itself, and to nobody else", Subscribe: []string{inbox(u.Name) + ".>"}})
}

// named are requests under the user's own name, which is how the nodes know who asks. With --plain it
// may ask without, too, and is nobody known then.
func (g *grounds) named(why, name string, paths ...string) Rule {
	r := Rule{Why: why}
	for _, path := range paths {
		r.Publish = append(r.Publish, g.in("as."+name+"."+path)...)
	}
	if g.plain {
		r.Publish = append(r.Publish, g.in(paths...)...)
	}
	return r
}

// What is asked of a view.
var ofViews = []string{"qry.>", "watch.>"}

// What is asked of the states of aggregates, now and then.
var ofAggregates = []string{"ctl.aggregate.get", "ctl.aggregate.history", "ctl.aggregate.diff", "ctl.aggregate.changes"}

// client may not do all that there is under its name: whoever may publish below as.NAME. may operate
// the system, if it is not said what.
func (g *grounds) client(name string) []Rule {
	return []Rule{
		g.named("commands, and reads of their aggregates", name, "cmd.>", "prt.*.cmd.>", "prt.*.get.>"),
		g.named("views: queries, watches, the wait for a position", name, also(ofViews, "ctl.wait")...),
		g.named("what the nodes serve", name, "ctl.info"),
	}
}

// member is what each process of the cluster does, whatever its roles.
func (g *grounds) member() []Rule {
	return []Rule{
		{Why: "whether there is JetStream", Publish: []string{accountInfo}},
		{Why: "read the log", Publish: asks(g.logs, toRead...)},
		{Why: "read snapshots, for states of the past", Publish: asks([]string{g.snapshots}, toRead...)},
		{
			Why:       "the registry of the views' models",
			Publish:   append(asks([]string{g.registry}, toRead...), values(g.registry)...),
			Subscribe: values(g.registry),
		},
		{
			Why:       "the directory of the cluster: leases, hints, and whether others live",
			Publish:   append(append(asks([]string{g.directory}, "STREAM.INFO", "DIRECT.GET"), values(g.directory)...), g.in("ctl.cluster.changed", "ctl.node.*.ping")...),
			Subscribe: g.in("ctl.cluster.changed", "ctl.node.*.ping"),
		},
		{Why: "show itself to nats micro", Subscribe: discovery()},
		{Why: "answer those who ask", Publish: g.inboxes},
	}
}

// readKeys is what is asked to read the keys of personal data, which are wrapped.
func (g *grounds) readKeys() []string {
	return append(append(asks(g.keys, toRead...), consumers(g.keys...)...), streamNames)
}

func (g *grounds) node() []Rule {
	all := append(g.member(),
		Rule{Why: "append to the log", Publish: g.in("evt.>")},
		Rule{Why: "keep snapshots, and remove parts of old ones", Publish: append(values(g.snapshots), asks([]string{g.snapshots}, "STREAM.PURGE")...)},
		Rule{
			Why:       "take requests, pass them on to their owners, and its own of HTTP",
			Publish:   g.in("cmd.>", "qry.>", "watch.>", "prt.>", "node.>", "ctl.info", "ctl.wait", "ctl.aggregate.*", "ctl.projection.ls", "ctl.subject.forget", "ctl.subject.get", "ctl.subject.ls"),
			Subscribe: g.in("as.>", "cmd.>", "qry.>", "watch.>", "prt.>", "node.>", "ctl.>"),
		},
		Rule{Why: "make the builds of views that a projector asks for", Publish: asks(g.views, "STREAM.INFO", "STREAM.CREATE")},
		Rule{Why: "make, use and erase keys of personal data", Publish: append(append(g.readKeys(), asks(g.keys, "STREAM.MSG.DELETE")...), g.in("key.>")...)},
	)
	if len(g.logs) > 1 {
		all = append(all, Rule{Why: "read the order of several log streams", Publish: consumers(g.order)})
	}
	return g.withArchive(all)
}

func (g *grounds) projector() []Rule {
	all := append(g.member(),
		Rule{Why: "follow the log", Publish: consumers(g.order)},
		Rule{
			Why:     "keep the views in KV, and drop their builds; nodes make them, for whoever makes a stream can have it publish anything",
			Publish: append(asks(g.views, also(toRead, "STREAM.DELETE", "STREAM.PURGE")...), values(g.views...)...),
		},
		Rule{
			Why:       "take what nodes pass on, and pass it on to who runs the view",
			Publish:   g.in("node.*.ctl.wait", "node.*.ctl.projection.*", "node.*.ctl.dlq.*", "node.*.qry.>", "node.*.watch.>"),
			Subscribe: g.in("node.>"),
		},
		Rule{Why: "use keys of personal data, and make none", Publish: g.readKeys()},
	)
	return g.withArchive(all)
}

// withArchive lets a role read what was moved out of the log.
func (g *grounds) withArchive(all []Rule) []Rule {
	if len(g.objects) == 0 {
		return all
	}
	return append(all, Rule{Why: "read the archive", Publish: g.readObjects()})
}

// controls are the control verbs of some kinds.
func controls(kinds ...gateway.Kind) []string {
	var paths []string
	for _, v := range gateway.ControlVerbs() {
		if slices.Contains(kinds, v.Kind) {
			paths = append(paths, "ctl."+v.Verb)
		}
	}
	return paths
}

func (g *grounds) operator(name string) []Rule {
	return g.withArchive([]Rule{
		g.named("the operator commands, and to have written down what it does without a node", name,
			slices.Concat(ofViews, []string{"prt.*.get.>"}, controls(gateway.KindQuery, gateway.KindInspect, gateway.KindOperate))...),
		{Why: "find services with nats micro", Publish: discovery()},
		{
			Why: "wishes about the cluster: cordon, pin",
			Publish: slices.Concat(asks([]string{g.directory}, "STREAM.INFO", "DIRECT.GET"), keysOf(g.directory, "cordon.>", "pin.>"),
				g.in("ctl.cluster.changed")),
		},
		{Why: "whether there are personal data: event, whatif", Publish: append(asks(g.keys, "STREAM.INFO"), streamNames)},
		{Why: "read and follow the log, and states of the past: event, whatif", Publish: g.readLog()},
	})
}

// readLog is what is asked to read and follow the log, by those who look at how it was made first.
func (g *grounds) readLog() []string {
	return slices.Concat(asks(g.logs, toRead...), consumers(g.order), asks([]string{g.snapshots}, toRead...), []string{allStreams})
}

// archivist may take out of the log what an archive has, and so whatever it will: the audit log is in it.
func (g *grounds) archivist(name string) []Rule {
	all := []Rule{
		g.named("what the nodes serve, and to have written down what it does", name, "ctl.info", "ctl.audit.record"),
		{Why: "read and follow the log", Publish: g.readLog()},
		{
			Why:     "copy snapshots, models and wrapped keys into a backup",
			Publish: slices.Concat(asks([]string{g.registry}, toRead...), g.readKeys()),
		},
		{
			Why:     "archive: note it in the log's settings, and take out what the archive has, once the server of dev has synced its disk",
			Publish: slices.Concat(asks(g.logs, "STREAM.PURGE"), asks([]string{g.order}, "STREAM.UPDATE"), []string{SyncSubject}),
		},
	}
	if len(g.objects) > 0 {
		all = append(all, Rule{
			Why:     "keep archives, backups and copies of keys in object stores, and have old copies overwritten",
			Publish: slices.Concat(g.readObjects(), asks(g.objects, "STREAM.PURGE", "STREAM.MSG.DELETE"), chunks(g.objects...)),
		})
	}
	return all
}

func (g *grounds) privacyOfficer(name string) []Rule {
	return g.withArchive([]Rule{
		g.named("forget persons, see who was forgotten, and which rows of SQL views hold whom", name, also(controls(gateway.KindPersonal), "ctl.info")...),
		g.named("export what is held about a person: views, edits of dead letters, and that it was exported", name,
			also(ofViews, "ctl.dlq.ls", "ctl.dlq.get", "ctl.audit.record")...),
		g.named("states and histories", name, also(ofAggregates, "ctl.wait", "ctl.projection.ls")...),
		{
			Why:     "export what is held about a person: read and follow the log",
			Publish: g.readLog(),
		},
		{Why: "export what is held about a person: keys, which are wrapped", Publish: g.readKeys()},
	})
}

func (g *grounds) auditor(name string) []Rule {
	return []Rule{
		{Why: "read the log, with what operators did, and no consumer: whoever makes one can have it send anywhere", Publish: append(asks(g.logs, toRead...), asks([]string{g.snapshots}, "STREAM.INFO")...)},
		g.named("states and histories, and how the views are", name, also(ofAggregates, "ctl.info", "ctl.projection.ls")...),
	}
}

func (g *grounds) provisioner(name string) []Rule {
	streams := slices.Concat(g.logs, []string{g.snapshots, g.registry, g.directory}, g.views, g.keys, g.objects)
	all := []Rule{
		{Why: "make the namespace, and change its settings", Publish: append(asks(streams, toMake...), accountInfo, allStreams)},
		{Why: "spread the leaders of new streams", Publish: asks(g.logs, "STREAM.LEADER.STEPDOWN")},
		{
			Why: "fill it: restore, import, migrate",
			Publish: slices.Concat(asks(append(slices.Clone(g.logs), g.snapshots, g.registry), "STREAM.MSG.GET", "DIRECT.GET"), consumers(g.order),
				g.in("evt.>", "ctl.info"), values(g.snapshots, g.registry), asks([]string{g.snapshots}, "STREAM.PURGE")),
		},
		{
			Why:     "wrap keys anew, move them to another stream, restore them",
			Publish: slices.Concat(g.readKeys(), asks(g.keys, "STREAM.MSG.DELETE"), g.in("key.>")),
		},
		g.named("whether nodes serve it, and to have written down what it does to one that is served", name, "ctl.info", "ctl.audit.record"),
		{Why: "forget the directory of nodes that the history did not come from, and epochs of keys that were replaced", Publish: asks(append([]string{g.directory}, g.keys...), "STREAM.DELETE")},
	}
	if len(g.objects) > 0 {
		all = append(all, Rule{Why: "read backups and copies of keys, to restore them", Publish: g.readObjects()})
	}
	return all
}
