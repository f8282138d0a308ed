package node

import (
	"context"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/cmd/node/servers"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/migrate"
)

// Codes of the failures that the command line itself finds. The others are the
// gateway's.
const (
	codeInterrupted gateway.Code = "INTERRUPTED"
	codeUnreachable gateway.Code = "NATS_UNREACHABLE"
	codeNotRunning  gateway.Code = "NOT_RUNNING"
	codeDataTaken   gateway.Code = "DATA_IN_USE"
	codeNotDurable  gateway.Code = "NOT_DURABLE"
	codeNoNamespace gateway.Code = "NO_NAMESPACE"
	codeData        gateway.Code = "DATA_LAYOUT"

	codeNameTaken gateway.Code = "NAME_TAKEN"
	codeUnlike    gateway.Code = "UNLIKE_NODES"
	codeAlone     gateway.Code = "SERVED_ALONE"
	codeNoCluster gateway.Code = "NO_CLUSTER"
	codeNoNode    gateway.Code = "NO_NODE"
	codeNoHeir    gateway.Code = "NO_HEIR"

	codeViewsLate   gateway.Code = "VIEWS_LATE"
	codeStillParked gateway.Code = "STILL_PARKED"
	codeCancelled   gateway.Code = "REBUILD_GONE"
	codeDiffers     gateway.Code = "DIFFERS"

	codeSchema      gateway.Code = "SCHEMA_FAILS"
	codeTurned      gateway.Code = "DECIDES_OTHERWISE"
	codeOtherEvents gateway.Code = "OTHER_EVENTS"
	codeFileOrder   gateway.Code = "FILE_ORDER"
	codeFileCodec   gateway.Code = "FILE_CODEC"
	codeWithheld    gateway.Code = "PERSONAL_WITHHELD"
	codeDiverged    gateway.Code = "MIGRATION_DIVERGED"
	codeMoved       gateway.Code = "STILL_WRITTEN"

	codeFiles         gateway.Code = "FILE_ACCESS"
	codeArchiveFaulty gateway.Code = "ARCHIVE_FAULTY"
	codeArchiveLeft   gateway.Code = "ARCHIVE_LEFT"

	codeExposed     gateway.Code = "EXPOSED"
	codeUsers       gateway.Code = "USERS_FILE"
	codeTLS         gateway.Code = "TLS_FILES"
	codeStranger    gateway.Code = "NOT_ADMITTED"
	codeNoPermit    gateway.Code = "NOT_PERMITTED"
	codeUncertified gateway.Code = "NOT_TRUSTED"
	codeNoKek       gateway.Code = "NO_KEK"
	codeKek         gateway.Code = "KEK"

	codeNoKeys    gateway.Code = "NO_PERSONAL_DATA"
	codeSealed    gateway.Code = "PERSONAL_DATA"
	codeNoKeyCopy gateway.Code = "NO_KEY_COPY"
	codePlain     gateway.Code = "PLAIN_PERSONAL_DATA"
	codeNoAudit   gateway.Code = "NOT_RECORDED"
	codeKeysPlace gateway.Code = "NO_KEYS_PLACE"
	codeKeysGone  gateway.Code = "KEYS_MISSING"

	codeServed     gateway.Code = "SERVED"
	codeUnfinished gateway.Code = "NOT_COMPLETE"
)

// What JetStream answers when it cannot keep as many copies.
const (
	codeServersTooFew = 10005
	codeNotClustered  = 10074
)

// kinds are all kinds of failures; the first that matches an error wins, so
// the particular stand before the general.
var kinds = []kind{
	{
		code: gateway.CodeUnknownOutcome, exit: console.ExitUnavailable, errs: []error{store.ErrUnknown},
		meaning: "it was tried, and whether it took effect is not known",
		advice:  "a command: send it again under the same --id, it takes effect once; another change: look first, then repeat it",
	},
	{
		code: codeKeysGone, exit: console.ExitFailure, errs: []error{jetstream.ErrKeysUnfinished},
		meaning: "the log has personal data, and their keys are not there, or not all of them; new ones could not read them",
		advice:  "restore the keys from their copy, to the end: {{name}} keys restore PLACE",
	},
	{
		code: gateway.CodeUnauthenticated, exit: console.ExitForbidden, errs: []error{gateway.ErrUnauthenticated},
		meaning: "the system wants to know who asks, or does not know the token",
		advice:  "come as a user who is known: --creds, --nkey or --context; over HTTP with a token: {{name}} token new --help",
	},
	{
		code: gateway.CodeForbidden, exit: console.ExitForbidden, errs: []error{gateway.ErrForbidden},
		meaning: "the asker is known and may not do this; nothing was stored",
		advice:  "ask whoever grants it; the message names what is missing",
	},
	{
		code: gateway.CodeOverQuota, exit: console.ExitUnavailable, errs: []error{gateway.ErrOverQuota},
		meaning: "the asker, or the whole namespace, asks more than its quota; this was not carried out",
		advice:  "the message says what is bounded and when to ask again; quotas are set with --quota of the nodes",
	},
	{
		code: codeNotRunning, exit: console.ExitUnavailable, errs: []error{nats.ErrNoResponders},
		meaning: "the NATS server is there, but no node of the namespace answers on it",
		advice:  "start a system with: {{name}} dev; or name another namespace with --ns",
	},
	{
		code: gateway.CodeRejected, exit: console.ExitConflict, errs: []error{actor.ErrRejected},
		meaning: "the domain said no; nothing was stored",
		advice:  "look at the state: {{name}} aggregate get TYPE ID",
	},
	{
		code: gateway.CodeCommandIDReused, exit: console.ExitConflict, errs: []error{actor.ErrDuplicateBody},
		meaning: "a command with this id was executed before, with another body; this one was not executed",
		advice:  "send a new command under a new --id",
	},
	{
		code: gateway.CodeInternal, exit: console.ExitFailure, errs: []error{actor.ErrInternal},
		meaning: "a fault of the node or of the application's code; this command stored nothing",
		advice:  "see the log of the node that runs the aggregate",
	},
	{
		code: gateway.CodeBusy, exit: console.ExitUnavailable, errs: []error{actor.ErrBusy},
		meaning: "too many commands wait for this aggregate; this one was not executed",
		advice:  "send it again a little later",
	},
	{
		code: codeOtherEvents, exit: console.ExitConflict, errs: []error{exchange.ErrOtherEvents},
		meaning: "a stream of the file is in the namespace with other events; nothing was added to it",
		advice:  "import into a namespace without this stream: --ns NAMESPACE",
	},
	{
		code: codeFileOrder, exit: console.ExitFailure, errs: []error{exchange.ErrOrder},
		meaning: "a line of the file does not follow the one before it: something is missing, comes twice or was moved",
		advice:  "import the file as it was exported, whole and in order",
	},
	{
		code: codeWithheld, exit: console.ExitConflict, errs: []error{exchange.ErrWithheld},
		meaning: "the file was exported without personal data, and a text stands where they were; it would take their place for good",
		advice:  "export with --kek, and import that",
	},
	{
		code: codeFileCodec, exit: console.ExitFailure, errs: []error{exchange.ErrEncoding},
		meaning: "the file comes from a namespace with another codec, and cannot be stored in this one for certain",
		advice:  "import into a namespace with the codec of the file",
	},
	{
		code: codeDiverged, exit: console.ExitConflict, errs: []error{migrate.ErrDiverged},
		meaning: "the new namespace holds something else than this build makes of the old one; nothing was added to it",
		advice:  "go on with the build that began the migration, or migrate into another namespace",
	},
	{
		code: codeMoved, exit: console.ExitConflict, errs: []error{migrate.ErrMoved},
		meaning: "the namespace that is being migrated is still written to",
		advice:  "stop the nodes of the old namespace, then repeat the migration: what is copied stays copied",
	},
	{
		code: gateway.CodeConflict, exit: console.ExitConflict, errs: []error{store.ErrConflict},
		meaning: "the stream is not at the version that the command expected; nothing was stored",
		advice:  "read the state again, decide again, and name its version",
	},
	{
		code: gateway.CodeNoLetter, exit: console.ExitNotFound, errs: []error{projector.ErrNoLetter},
		meaning: "no stream is parked under this id; it may have been repaired meanwhile",
		advice:  "list what is parked: {{name}} dlq ls",
	},
	{
		code: gateway.CodeNoCandidate, exit: console.ExitConflict, errs: []error{projector.ErrNoCandidate},
		meaning: "no model of this view is being built",
		advice:  "build one: {{name}} projection rebuild VIEW --online",
	},
	{
		code: gateway.CodeCandidate, exit: console.ExitConflict, errs: []error{projector.ErrCandidate},
		meaning: "a model of this view is built beside the live one already, or was and waits",
		advice:  "serve it: {{name}} projection promote VIEW; or give it up: {{name}} projection cancel VIEW",
	},
	{
		code: gateway.CodeNoPrevious, exit: console.ExitConflict, errs: []error{projector.ErrNoPrevious},
		meaning: "there is no model to go back to: none was replaced, or it was retired",
		advice:  "see what there is: {{name}} projection info VIEW",
	},
	{
		code: gateway.CodeParity, exit: console.ExitConflict, errs: []error{gateway.ErrParity},
		meaning: "the model that was built is behind the live one, or its documents differ from it",
		advice:  "see which: {{name}} projection info VIEW; then {{name}} projection promote VIEW --force, or cancel",
	},
	{
		code: gateway.CodeUnfinished, exit: console.ExitConflict, errs: []error{projector.ErrUnfinished},
		meaning: "a retry of another dead letter of the view was interrupted and has to be finished first",
		advice:  "retry all of them: {{name}} dlq retry --match VIEW",
	},
	{
		code: gateway.CodePaused, exit: console.ExitUnavailable, errs: []error{projector.ErrPaused},
		meaning: "somebody paused the view: it is not brought up to date, and not built again",
		advice:  "let it go on: {{name}} projection resume VIEW",
	},
	{
		code: gateway.CodeRebuilding, exit: console.ExitUnavailable, errs: []error{projector.ErrRebuilding},
		meaning: "the view is being built again: it is not as far yet as was asked, or nothing else can begin before that is over",
		advice:  "see how far it is: {{name}} projection ls; or wait longer with --timeout",
	},
	{
		code: gateway.CodeViewTimeout, exit: console.ExitUnavailable, errs: []error{projector.ErrTimeout},
		meaning: "the view did not reach the position in time",
		advice:  "see how far it is: {{name}} projection ls; or wait longer with --timeout",
	},
	{
		code: gateway.CodeUnknownView, exit: console.ExitNotFound, errs: []error{projector.ErrNoView},
		meaning: "the running system has no view of this name",
		advice:  "list the views: {{name}} view ls",
	},
	{
		code: gateway.CodeArchived, exit: console.ExitFailure, errs: []error{store.ErrArchived},
		meaning: "it needs events that were moved to an archive, and this process was told of none, or of one without them",
		advice:  "name the archive that has them, of nodes and commands alike: --archive DIR, or --archive nats:BUCKET; restore from a backup only if it is lost",
	},
	{
		code: gateway.CodeDamaged, exit: console.ExitFailure, errs: []error{store.ErrDamaged},
		meaning: "stored data are not what was written; the stream is not served",
		advice:  "restore the namespace from a backup; nothing is repaired silently",
	},
	{
		code: gateway.CodeAhead, exit: console.ExitFailure, errs: []error{store.ErrAhead},
		meaning: "the log lost its end: a snapshot or a view knows events that are gone",
		advice:  "find out what was lost before you go on: a restored backup, or a power cut with --sync none",
	},
	{
		code: gateway.CodeTooLarge, exit: console.ExitUsage, errs: []error{store.ErrTooLarge},
		meaning: "something is over a limit; nothing was stored",
		advice:  "the message names the limit",
	},
	{
		code: servers.CodeNotReplicated, exit: console.ExitFailure,
		errs:    []error{&natsjs.APIError{ErrorCode: codeServersTooFew}, &natsjs.APIError{ErrorCode: codeNotClustered}},
		meaning: "the NATS servers cannot keep, or do not keep, as many copies as --durability promises",
		advice:  "run at least three NATS servers with JetStream in one cluster, or accept the weaker promise: --durability single",
	},
	{
		code: codeNameTaken, exit: console.ExitFailure, errs: []error{cluster.ErrNameTaken},
		meaning: "another node runs under this name",
		advice:  "give this node a name of its own with --name, or stop the other; see: {{name}} cluster nodes",
	},
	{
		code: codeUnlike, exit: console.ExitFailure, errs: []error{cluster.ErrUnlike},
		meaning: "nodes that run keep the views elsewhere than this one would",
		advice:  "start it with the --views of the others; to keep views elsewhere, stop all nodes first",
	},
	{
		code: codeAlone, exit: console.ExitFailure, errs: []error{cluster.ErrAlone},
		meaning: "dev without --nodes serves the namespace, and no node can join it: both would do the same work",
		advice:  "stop it first; for several nodes in one process: {{name}} dev --nodes 3; or name another namespace with --ns",
	},
	{
		code: codeNoCluster, exit: console.ExitNotFound, errs: []error{cluster.ErrNoCluster},
		meaning: "no node has ever joined a cluster in this namespace; dev without --nodes is one node and makes none",
		advice:  "start one with: {{name}} dev --nodes 3, or {{name}} node; or name the namespace with --ns",
	},
	{
		code: codeNoNode, exit: console.ExitNotFound, errs: []error{cluster.ErrNoNode},
		meaning: "no node of this name is there",
		advice:  "list the nodes: {{name}} cluster nodes",
	},
	{
		code: gateway.CodeUnknownType, exit: console.ExitNotFound, errs: []error{store.ErrUnknownType},
		meaning: "the running system does not know this aggregate, command or event type",
		advice:  "list what it knows: {{name}} aggregate types",
	},
	{
		code: codeUnfinished, exit: console.ExitConflict, errs: []error{jetstream.ErrUnfinished},
		meaning: "the namespace is being filled by a restore or a migration that has not come to its end",
		advice:  "repeat what fills it: it goes on where it stopped; or delete the namespace's streams and begin again",
	},
	{
		code: codeServed, exit: console.ExitConflict, meaning: "a node serves the namespace that is to be filled, or to be copied whole",
		advice: "stop the nodes first; or restore to another namespace, or migrate what is there with --served",
	},
	{
		code: gateway.CodeInvalid, exit: console.ExitUsage, errs: []error{store.ErrInvalid, cluster.ErrInvalid},
		meaning: "what was passed can never be accepted; nothing was stored",
		advice:  "the message names what is wrong",
	},
	{
		code: gateway.CodeNotFound, exit: console.ExitNotFound, errs: []error{store.ErrNotFound},
		meaning: "there is no such aggregate or document",
		advice:  "ids are case-sensitive",
	},
	{
		code: gateway.CodeRefused, exit: console.ExitFailure, errs: []error{store.ErrRefused},
		meaning: "the log does not take the commit, and will not",
		advice:  "the message says why; see also the log of the NATS server",
	},
	{
		code: codeNotDurable, exit: console.ExitFailure, errs: []error{embedded.ErrNotDurable},
		meaning: "the disk failed to sync; what was not acknowledged may be lost",
		advice:  "check the disk, then start again on the same directory",
	},
	{
		code: codeDataTaken, exit: console.ExitFailure, errs: []error{embedded.ErrDirInUse},
		meaning: "another process keeps its data in this directory",
		advice:  "stop that process, or use another directory with --data",
	},
	{
		code: web.CodePortTaken, exit: console.ExitFailure, errs: []error{embedded.ErrPortInUse},
		meaning: "somebody else listens on this port",
		advice:  "use another port; port 0 takes a free one",
	},
	{
		code: gateway.CodeUnavailable, exit: console.ExitUnavailable, errs: []error{store.ErrUnavailable, cluster.ErrUnavailable, nats.ErrConnectionClosed, nats.ErrNoServers},
		meaning: "nobody could try: no node that serves it, or no log",
		advice:  "see whether the system is up; then try again",
	},
	{
		code: gateway.CodeDeadline, exit: console.ExitUnavailable, errs: []error{actor.ErrDeadline, context.DeadlineExceeded, nats.ErrTimeout},
		meaning: "no answer in time",
		advice:  "try again, or wait longer with --timeout",
	},
	{
		code: codeUsers, exit: console.ExitUsage, errs: []error{embedded.ErrUsers},
		meaning: "the file with the users cannot be read, or says something that the embedded server does not take over",
		advice:  "print one that it takes: {{name}} generate permissions",
	},
	{
		code: codeTLS, exit: console.ExitUsage, errs: []error{embedded.ErrTLS},
		meaning: "a certificate, its key or a list of authorities cannot be used",
		advice:  "want PEM files, and the key that belongs to the certificate",
	},
	{
		code: codeExposed, exit: console.ExitUsage, meaning: "the server would listen for other machines without asking who they are, or without TLS",
		advice: "name users and a certificate, or listen on 127.0.0.1: {{name}} dev --help",
	},
	{
		code: codeStranger, exit: console.ExitForbidden, errs: []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired},
		meaning: "the NATS server does not admit this user",
		advice:  "give credentials with --creds or --nkey, or a NATS context that has them with --context",
	},
	{
		code: codeNoPermit, exit: console.ExitForbidden, errs: []error{nats.ErrPermissionViolation},
		meaning: "the NATS server admits this user, and permits what was tried to others only",
		advice:  otherUser,
	},
	{
		code: codeUncertified, exit: console.ExitUnavailable, meaning: "the NATS server's certificate is not trusted, or the server wants one of the client",
		advice: "name the authorities with --tlsca, the client's own certificate with --tlscert and --tlskey",
	},
	{
		code: codeNoNamespace, exit: console.ExitNotFound, meaning: "this NATS server keeps no events of the namespace",
		advice: "name the namespace with --ns, or the server with --server",
	},
	{
		code: codeData, exit: console.ExitFailure, meaning: "the directory was filled by dev with another number of servers",
		advice: "see dev --help: --nodes and --data",
	},
	{
		code: servers.CodeTooOld, exit: console.ExitFailure, meaning: "a NATS server is older than what a node rests on",
		advice: "upgrade the NATS servers to 2.12 or later",
	},
	{
		code: servers.CodeNoJetStream, exit: console.ExitFailure, meaning: "the NATS server, or the account, has no JetStream",
		advice: "enable jetstream in the configuration of the servers and of the account",
	},
	{
		code: servers.CodeNotSynced, exit: console.ExitFailure, meaning: "a NATS server acknowledges before it has synced; a power cut of all servers loses data",
		advice: "set sync_interval: always in the section jetstream of each server; or accept the weaker promise: --durability replicated",
	},
	{
		code: servers.CodeSyncUnseen, exit: console.ExitFailure, meaning: "it cannot be seen whether the NATS servers sync before they acknowledge",
		advice: "name the monitoring ports of all servers with --monitor; or accept the weaker promise: --durability replicated",
	},
	{
		code: codeNoHeir, exit: console.ExitFailure, meaning: "no other node could take over what this one holds",
		advice: "start another node, or uncordon one, first",
	},
	{
		code: codeUnreachable, exit: console.ExitUnavailable, meaning: "no NATS server answers at this address",
		advice: "start a system with: {{name}} dev; or name another server with --server or --context",
	},
	{
		code: console.CodeUsage, exit: console.ExitUsage, meaning: "the command line is wrong",
		advice: "every command has examples: add --help",
	},
	{
		code: codeViewsLate, exit: console.ExitUnavailable, meaning: "the command took effect, but a view that it was to wait for is late",
		advice: "do not send it again; wait: {{name}} view wait POSITION VIEW",
	},
	{
		code: codeStillParked, exit: console.ExitConflict, meaning: "an event of the stream failed again, and the stream waits at that one now",
		advice: "look: {{name}} dlq get ID; then dlq edit or dlq skip",
	},
	{
		code: codeCancelled, exit: console.ExitConflict, meaning: "the model that was built is not there any more: the rebuild was cancelled, or another one began",
		advice: "see what there is: {{name}} projection info VIEW",
	},
	{
		code: gateway.CodeSlow, exit: console.ExitUnavailable, errs: []error{projector.ErrSlow},
		meaning: "the watch did not take changes as fast as they came, and was dropped",
		advice:  "watch on from the last position: {{name}} view watch VIEW --after POSITION",
	},
	{
		code: gateway.CodeSwitched, exit: console.ExitUnavailable, errs: []error{projector.ErrSwitched},
		meaning: "another model of the view is served now",
		advice:  "begin again: {{name}} view watch VIEW",
	},
	{
		code: codeFiles, exit: console.ExitFailure, meaning: "the operating system does not let this process use a file or directory, or a directory was meant and it is none",
		advice: "let the user who runs this read it, and write where something is to be kept; or name another place",
	},
	{
		code: codeArchiveFaulty, exit: console.ExitFailure, meaning: "the files of an archive are not what was written",
		advice: "restore them from a copy, then: {{name}} archive verify",
	},
	{
		code: codeArchiveLeft, exit: console.ExitDegraded, meaning: "streams were not archived, for a replay does not give their snapshots",
		advice: "see which: {{name}} archive run --json; find out why before their old events are moved",
	},
	{
		code: codeNoKek, exit: console.ExitUsage, meaning: "there are personal data, and no key was named that the keys of these are wrapped by",
		advice: "name it with --kek file:PATH; make one with: {{name}} keys generate PATH",
	},
	{
		code: codeKek, exit: console.ExitUsage, meaning: "what is named as the keys that wrap the keys of personal data is not there, is none, or has others than the namespace's",
		advice: "name those that the namespace was used with, with --kek",
	},
	{
		code: codeNoKeys, exit: console.ExitNotFound, meaning: "the namespace has no personal data",
		advice: "mark the fields that are about persons, and start the nodes with --kek",
	},
	{
		code: codeKeysPlace, exit: console.ExitUsage, meaning: "a backup of personal data needs a place for their keys, apart from the data",
		advice: "name it with --keys-to, or --keys-from for a restore; --no-keys knowingly leaves them out",
	},
	{
		code: codeNoAudit, exit: console.ExitUnavailable, meaning: "the audit log cannot be written; what it is written before was not done",
		advice: "start a node, or act as a user who may append to the log; then give the command again, unless it says that it was done",
	},
	{
		code: codeNoKeyCopy, exit: console.ExitNotFound, meaning: "the place has no copy of the keys of personal data",
		advice: "name the one that {{name}} backup create was given with --keys-to",
	},
	{
		code: codeSealed, exit: console.ExitConflict, meaning: "the namespace has personal data, which are sealed for their places in it",
		advice: "to copy it as it is: {{name}} backup create, and backup restore",
	},
	{
		code: codePlain, exit: console.ExitConflict, meaning: "a file has personal data in plain, which an import could not seal",
		advice: "import with the application's binary, and name the wrapping keys with --kek",
	},
	{
		code: gateway.CodeForgetUnfinished, exit: console.ExitUnavailable, errs: []error{gateway.ErrForgetUnfinished},
		meaning: "the key of a data subject is given up, but not all steps after that were taken",
		advice:  "give the same command again; the nodes go on with it, too",
	},
	{
		code: codeDiffers, exit: console.ExitDegraded, meaning: "a view is not what the log says",
		advice: "build it again: {{name}} projection rebuild VIEW --online --parity none",
	},
	{
		code: codeSchema, exit: console.ExitFailure, meaning: "this build cannot read, or cannot fold, something that is stored",
		advice: "do not deploy it; it needs the types that are stored, or upcasters from them: {{name}} schema check",
	},
	{
		code: codeTurned, exit: console.ExitDegraded, meaning: "this build would have decided something otherwise, or folds another state",
		advice: "read the differences, and deploy if they are meant; raise StateSchema if the fold was meant to change",
	},
	{code: codeInterrupted, exit: console.ExitInterrupted, meaning: "a signal ended the command"},
	{code: console.CodeFailure, exit: console.ExitFailure, meaning: "something else failed; the message says what"},
}
