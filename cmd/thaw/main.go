// Command thaw resumes the prospects that an outreach platform paused when an account disconnected.
// Run it without arguments to list its commands.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"
	"github.com/willabides/kongplete"
	"golang.org/x/term"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/providersim"
	"github.com/thawline/thaw/internal/when"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C terminates the program immediately
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// cli has one field per command. Each command has a file of the same name.
type cli struct {
	Demo        demoCmd        `cmd:"" help:"Run a demo: a sample fleet on a private Postgres, and a scripted incident that sends real HTTP requests."`
	Migrate     migrateCmd     `cmd:"" help:"Apply or roll back database migrations."`
	Serve       serveCmd       `cmd:"" help:"Run webhooks, pages and workers in one process."`
	Work        workCmd        `cmd:"" help:"Run workers only."`
	Web         webCmd         `cmd:"" help:"Run webhooks and pages only."`
	Import      importCmd      `cmd:"" help:"Load accounts, campaigns and enrollments from a CSV file."`
	Adopt       adoptCmd       `cmd:"" help:"Connect Thaw to tables that the platform has already."`
	Sweep       sweepCmd       `cmd:"" help:"Start the sweep of the current tick."`
	Heal        healCmd        `cmd:"" help:"Resume a large backlog at once, under its own cap."`
	Status      statusCmd      `cmd:"" help:"Show the backlog, the last sweep, and when each account is expected to be done."`
	Explain     explainCmd     `cmd:"" help:"Explain why a prospect is still paused, and until when."`
	Find        findCmd        `cmd:"" help:"Find prospects, accounts, campaigns and workspaces by a URL, a name or an ID."`
	Verify      verifyCmd      `cmd:"" help:"Check every invariant on the live database."`
	Pause       pauseCmd       `cmd:"" help:"Pause a prospect, a campaign, or all prospects of an account until a person resumes them."`
	Resume      resumeCmd      `cmd:"" help:"Resume prospects that a person or a restriction paused."`
	Undo        undoCmd        `cmd:"" help:"Undo a manual action. Anything that was changed again after the action is left as it is."`
	Audit       auditCmd       `cmd:"" help:"List the audit log: who did what, when and why, and what undoes it."`
	Erase       eraseCmd       `cmd:"" help:"Erase a person everywhere. Cannot be undone."`
	Hold        holdCmd        `cmd:"" help:"Put an account on hold until a time."`
	Actions     actionsCmd     `cmd:"" help:"List the actions of senders, and settle those of which the outcome is unknown."`
	Limits      limitsCmd      `cmd:"" help:"Show and set what limits the sending of accounts."`
	Windows     windowsCmd     `cmd:"" help:"Show and set the windows in which accounts send."`
	Instance    instanceCmd    `cmd:"" help:"Show which instance the database is; adopt a copy."`
	Safety      safetyCmd      `cmd:"" help:"Enter or exit safety mode, in which nothing is resumed and nothing is sent."`
	HealCap     healCapCmd     `cmd:"" help:"Set how many prospects per tick the heals of a tenant may resume."`
	AutoResume  autoResumeCmd  `cmd:"" help:"Switch automatic resuming of a workspace on or off."`
	Workspace   workspaceCmd   `cmd:"" help:"Remove a workspace with everything that belongs to it."`
	Webhooks    webhooksCmd    `cmd:"" help:"List, test and resend the messages to the platform."`
	Signals     signalsCmd     `cmd:"" help:"Replay lost signals from a record of the provider's deliveries."`
	Reconcile   reconcileCmd   `cmd:"" help:"Compare accounts with a list of their true status, and apply the differences."`
	Accounts    accountsCmd    `cmd:"" help:"Link two accounts of one person."`
	Token       tokenCmd       `cmd:"" help:"Create, list and revoke tokens for the JSON API."`
	Licenses    licensesCmd    `cmd:"" help:"Print the licenses of this program and its dependencies."`
	ProviderSim providerSimCmd `cmd:"" help:"Run a provider for tests of senders, with faults on request. Delivers nothing."`
	Simulate    simulateCmd    `cmd:"" help:"Run a fleet for a simulated month, and check what was sent."`
	Bench       benchCmd       `cmd:"" help:"Measure this program against the same work in bare SQL, and against other job queues."`

	Help       helpCmd       `cmd:"" help:"Show the help of a command."`
	VersionOf  versionCmd    `cmd:"" name:"version" help:"Print the version, the commit, the newest migration and the Go version."`
	Completion completionCmd `cmd:"" help:"Print a script that completes commands and flags in a shell."`
	Man        manCmd        `cmd:"" help:"Print the manual page."`

	LogFormat string           `help:"Log format: text, json, or auto (text on a terminal, json otherwise)." enum:"auto,text,json" default:"auto" env:"THAW_LOG_FORMAT"`
	LogLevel  string           `help:"Minimum log level: debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"THAW_LOG_LEVEL"`
	Version   kong.VersionFlag `help:"Print the version."`
}

// An env holds the standard streams and the logger of a command.
type env struct {
	stdin  io.Reader
	stdout *output
	stderr io.Writer
	logger *slog.Logger
}

// errSilent makes the program exit with code 1 without printing an error: the command has already
// printed one.
var errSilent = errors.New("failed")

// exit is the panic value with which kong ends the program after --help and --version.
type exit int

func run(ctx context.Context, args []string, stdin io.Reader, out, stderr io.Writer) (code int) {
	stdout := &output{Writer: out}
	defer func() {
		switch reason := recover().(type) {
		case nil:
		case exit:
			code = int(reason)
		default:
			panic(reason)
		}
		// Covers --help and --version. Write errors of commands are handled below.
		if stdout.err != nil && code == 0 {
			printf(stderr, "thaw: %s\n", stdout.err)
			code = 1
		}
	}()
	var c cli
	parser := newParser(&c, kong.Writers(stdout, stderr), kong.BindTo(ctx, (*context.Context)(nil)))
	kongplete.Complete(parser) // answers the shell and ends the program if COMP_LINE is set
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ignoreEmpty(parser.Model.Node)
	parsed, err := parser.Parse(args)
	if err != nil {
		printf(stderr, "thaw: %s\nRun \"thaw --help\", or \"thaw COMMAND --help\" for the flags of a command.\n", err)
		return 2
	}
	err = parsed.Run(&env{stdin: stdin, stdout: stdout, stderr: stderr, logger: newLogger(c.LogFormat, c.LogLevel, stderr)})
	switch {
	case stdout.err != nil:
		printf(stderr, "thaw: %s\n", stdout.err)
		return 1
	case err == nil:
		return 0
	case errors.Is(err, errSilent):
		return 1
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		printf(stderr, "thaw: interrupted\n")
		return 130
	default:
		for _, line := range strings.Split("thaw: "+explainError(err), "\n") {
			printLine(stderr, line)
		}
		return 1
	}
}

func newParser(c *cli, options ...kong.Option) *kong.Kong {
	return kong.Must(c, append(append(options, inputs()...),
		kong.Name("thaw"),
		kong.Description("Thaw resumes prospects that were paused when their account disconnected. It resumes them as soon as the connect signal arrives. If the signal is lost, a periodic sweep resumes them."),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Vars{"version": version(), "heal_cap": strconv.Itoa(operator.DefaultHealCap), "benchmarks": benchmarkNames(), "faults": strings.Join(providersim.FaultNames(), ", "), "times": when.Examples, "actions": actionKinds(), "action_states": strings.Join(enum.Names(enum.ActionStates), ","),
			"account_id": "its provider account ID or the platform's own ID", "workspace_id": "its key or the platform's own ID",
			"campaign_id": "its key or the platform's own ID", "prospect_id": "its URL in any spelling or the platform's own ID of it in a campaign"},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)...)
}

// ignoreEmpty unsets empty environment variables of flags. A compose file, for example, passes
// undefined variables on as empty ones.
func ignoreEmpty(node *kong.Node) {
	for _, flag := range node.Flags {
		for _, name := range flag.Envs {
			if os.Getenv(name) == "" {
				_ = os.Unsetenv(name) // fails only for an invalid name
			}
		}
	}
	for _, child := range node.Children {
		ignoreEmpty(child)
	}
}

func newLogger(format, levelName string, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(levelName)) // the flag allows valid levels only
	if format == "text" || format == "auto" && isTerminal(w) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, NoColor: !hasColor(w), ReplaceAttr: durationWithUnit}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: durationWithUnit}))
}

// durationWithUnit writes a duration as text with its unit, such as 1.5s. By default JSON has the
// bare number of nanoseconds.
func durationWithUnit(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindDuration {
		attr.Value = slog.StringValue(attr.Value.Duration().Round(time.Microsecond).String())
	}
	return attr
}

// hasColor reports whether colors may be used: on a terminal, unless NO_COLOR is set
// (https://no-color.org) or the terminal has none.
func hasColor(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func isTerminal(w io.Writer) bool {
	if out, ok := w.(*output); ok {
		w = out.Writer
	}
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
