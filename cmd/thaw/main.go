// Command thaw resumes the prospects that an outreach platform paused when an account disconnected. Run it without arguments
// for its commands; docs/ has the rest.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// cli has a field a command; each command is in the file of its name.
type cli struct {
	Demo       demoCmd       `cmd:"" help:"See the main job done: a private Postgres, a fleet, and a story over real HTTP."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the database schema up to date, or back."`
	Serve      serveCmd      `cmd:"" help:"Run webhooks, pages and workers in one process."`
	Work       workCmd       `cmd:"" help:"Run workers only."`
	Web        webCmd        `cmd:"" help:"Run webhooks and pages only."`
	Import     importCmd     `cmd:"" help:"Load accounts, campaigns and enrollments from a CSV file."`
	Sweep      sweepCmd      `cmd:"" help:"Ask for the sweep of the current tick."`
	Heal       healCmd       `cmd:"" help:"Resume a large backlog in one go, under a cap of its own."`
	Status     statusCmd     `cmd:"" help:"Show the backlog, the last sweep, and when each account is expected to be done."`
	Explain    explainCmd    `cmd:"" help:"Say why a prospect is still paused, and until when."`
	Verify     verifyCmd     `cmd:"" help:"Check every invariant on the live database."`
	Pause      pauseCmd      `cmd:"" help:"Pause an account's prospects, a campaign or a prospect, until a person resumes them."`
	Resume     resumeCmd     `cmd:"" help:"Give back what a person or a restriction stopped; the next ticks resume it."`
	Hold       holdCmd       `cmd:"" help:"Let an account rest until a time."`
	Safety     safetyCmd     `cmd:"" help:"Begin or end safety mode, in which nobody is resumed and nothing is sent."`
	HealCap    healCapCmd    `cmd:"" help:"Say how many prospects the heals of a tenant may resume."`
	AutoResume autoResumeCmd `cmd:"" help:"Switch automatic resuming of a workspace on or off."`
	Webhooks   webhooksCmd   `cmd:"" help:"List, test and send again what the platform is told."`
	Signals    signalsCmd    `cmd:"" help:"Replay signals that were lost, from a record of the provider's deliveries."`
	Reconcile  reconcileCmd  `cmd:"" help:"Compare the accounts with a list of their true status, and apply what differs."`
	Accounts   accountsCmd   `cmd:"" help:"Link accounts of one person."`
	Token      tokenCmd      `cmd:"" help:"Make, list and revoke tokens of the JSON API."`
	Licenses   licensesCmd   `cmd:"" help:"Print the licences of what this program is built from."`
	Bench      benchCmd      `cmd:"" help:"Measure this program against the same work in bare SQL, and against other job queues."`

	LogFormat string           `help:"How to log: text, json, or auto, which is text on a terminal and else json." enum:"auto,text,json" default:"auto" env:"THAW_LOG_FORMAT"`
	LogLevel  string           `help:"Least severe level to log: debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"THAW_LOG_LEVEL"`
	Version   kong.VersionFlag `help:"Print the version."`
}

// An env is what a command gets of the world outside.
type env struct {
	stdin  io.Reader
	stdout *output
	stderr io.Writer
	logger *slog.Logger
}

// errSilent makes the program exit with 1 after the command has said all there is to say.
var errSilent = errors.New("failed")

// exit is how kong ends the program from within, for --help and --version.
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
		// Of help and version; what a command has not written is looked at below.
		if stdout.err != nil && code == 0 {
			printf(stderr, "thaw: %s\n", stdout.err)
			code = 1
		}
	}()
	var c cli
	parser := newParser(&c, kong.Writers(stdout, stderr), kong.BindTo(ctx, (*context.Context)(nil)))
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
	return kong.Must(c, append(options,
		kong.Name("thaw"),
		kong.Description("Thaw resumes prospects that were paused when their account disconnected: at once when the connect signal arrives, by a sweep when it did not."),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Vars{"version": version(), "benchmarks": benchmarkNames()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)...)
}

// ignoreEmpty makes settings whose environment variable is set to nothing unset, as in a compose file that passes on what
// is not there.
func ignoreEmpty(node *kong.Node) {
	for _, flag := range node.Flags {
		for _, name := range flag.Envs {
			if os.Getenv(name) == "" {
				_ = os.Unsetenv(name) // fails only for a name that cannot be set
			}
		}
	}
	for _, child := range node.Children {
		ignoreEmpty(child)
	}
}

func newLogger(format, levelName string, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(levelName)) // one of those that the flag allows
	if format == "text" || format == "auto" && isTerminal(w) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, NoColor: !isTerminal(w)}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
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
