#!/usr/bin/env perl

# Loads a PSGI application and serves its requests, one at a time, by the
# session protocol: see docs/loader-protocol.md and docs/session-protocol.md.

# Stands before all declarations, so that applications see none of them.
sub PSGILoader::evaluate { eval $_[0] }

use strict;
use warnings;

package PSGILoader;

use Digest::SHA qw(sha256);
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOMAXCONN SHUT_WR);

use constant {
    FEATURE    => 'session_keep_alive',
    MAX_HEADER => 128 * 1024,
    # How much of a body that the application left is read to keep a connection.
    MAX_DRAIN => 256 * 1024,
    READ_SIZE => 64 * 1024,
};

my ($control, $messages);    # what stdin and stdout were at the start
my ($app, %option, $keep_alive, $listener, $socket_path);

sub warning { print STDERR "PSGI loader: $_[0]\n" }

# The handshake.

sub run {
    local $SIG{PIPE} = 'IGNORE';
    $_->autoflush(1) for \*STDOUT, \*STDERR;

    # Whatever the application does with its stdin, ours is elsewhere. Both are
    # closed in programs that it executes.
    open $control,  '<&', \*STDIN      or die "cannot duplicate stdin: $!";
    open $messages, '>&', \*STDOUT     or die "cannot duplicate stdout: $!";
    open STDIN,     '<',  '/dev/null'  or die "cannot open /dev/null: $!";

    write_all($messages, "\n!> I have control 1.0\n");
    %option = read_request();
    my $offered = grep { $_ eq FEATURE } split / /, $option{features} // '';
    $keep_alive = $offered > 0;

    my $address = eval { $app = load_app(); start_listening() };
    fail($@) unless defined $address;
    my $features = $keep_alive ? '!> features: ' . FEATURE . "\n" : '';
    write_all($messages, "\n!> Ready\n!> socket: main;$address;session;1\n!> pid: $$\n$features!> \n");
    serve();
    $listener->close;
    unlink $socket_path if defined $socket_path;
    return;
}

sub read_request {
    my $request = '';
    until ($request =~ /\n\n\z/) {
        my $n = sysread $control, $request, READ_SIZE, length $request;
        next if !defined $n && $!{EINTR};
        die "PSGI loader: there is no server to talk to on stdin\n" unless $n;
    }
    my ($greeting, @lines) = split /\n/, $request;
    die "PSGI loader: the server greets with '$greeting'\n" unless $greeting eq 'You have control 1.0';
    return map { /\A([^:]+): (.*)\z/s ? ($1, $2) : () } @lines;
}

# Says why there is no application, and ends.
sub fail {
    my ($why) = @_;
    write_all($messages, "\n!> Error\n!> \n$why");
    exit 1;
}

sub load_app {
    my $file = $option{startup_file} // "$option{app_root}/app.psgi";
    open my $source, '<', $file or die "cannot read $file: $!\n";
    my $owner = $option{startup_file_uid};
    die "$file has changed its owner since the start began\n" if defined $owner && (stat $source)[4] != $owner;
    my $text = do { local $/; <$source> };
    close $source;
    my $loaded = evaluate(qq{#line 1 "$file"\n$text});
    die "cannot load $file: $@" if $@;
    die "the last value in $file is not a code reference\n" unless ref $loaded eq 'CODE';
    return $loaded;
}

# Returns the address for the Ready message.
sub start_listening {
    my $dir = $option{socket_dir};
    if (!defined $dir) {
        $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => SOMAXCONN)
            or die "cannot listen on 127.0.0.1: $@\n";
        $listener->blocking(0);
        return 'tcp://127.0.0.1:' . $listener->sockport;
    }
    open my $random, '<:raw', '/dev/urandom' or die "cannot open /dev/urandom: $!\n";
    sysread $random, my $bytes, 5;
    my $path = "$dir/psgi." . unpack 'H*', $bytes;
    my $max = $option{UNIX_PATH_MAX} // 108;
    die "the path $path is too long for a Unix socket: it must have less than $max bytes\n" if length $path >= $max;
    my $umask = umask 0177;
    $listener = IO::Socket::UNIX->new(Local => $path, Listen => SOMAXCONN);
    my $error = $!;
    umask $umask;
    die "cannot listen on $path: $error\n" unless $listener;
    $listener->blocking(0);
    $socket_path = $path;
    return "unix:$path";
}

sub write_all {
    my ($handle, $data) = @_;
    my $done = 0;
    while ($done < length $data) {
        my $n = syswrite $handle, $data, READ_SIZE, $done;
        next if !defined $n && $!{EINTR};
        return 0 unless defined $n;
        $done += $n;
    }
    return 1;
}

# Serving. A connection is a hash: socket, buffer (what has come and was not
# used), skip (what is still to be dropped of a request's body), closing (there
# will be no other request), gone (nothing can be sent).

sub serve {
    my $select = IO::Select->new($control, $listener);
    my %connections;
    while (1) {
        for my $handle ($select->can_read) {
            if ($handle == $control) {
                my $n = sysread $control, my $ignored, READ_SIZE;
                return unless $n || (!defined $n && $!{EINTR});
            }
            elsif ($handle == $listener) {
                my $socket = $listener->accept or next;
                $socket->blocking(1);
                $connections{$socket} = { socket => $socket, buffer => '', skip => 0 };
                $select->add($socket);
            }
            elsif (!advance($connections{$handle})) {
                $select->remove($handle);
                close delete($connections{$handle})->{socket};
            }
        }
    }
}

# Receives what is there and serves the requests that are complete. Returns
# false when the connection is to be closed.
sub advance {
    my ($conn) = @_;
    receive($conn, READ_SIZE) or return 0;
    while (1) {
        my $dropped = substr $conn->{buffer}, 0, $conn->{skip}, '';
        $conn->{skip} -= length $dropped;
        return $conn->{skip} > 0 if $conn->{closing};
        return 1 if $conn->{skip} > 0 || length $conn->{buffer} < 4;
        my $size = unpack 'N', $conn->{buffer};
        if ($size > MAX_HEADER) {
            warning("closed a connection whose request has a header of $size bytes");
            return 0;
        }
        return 1 if length $conn->{buffer} < 4 + $size;
        my $header = substr $conn->{buffer}, 0, 4 + $size, '';
        serve_request($conn, substr $header, 4) or return 0;
    }
}

sub receive {
    my ($conn, $most) = @_;
    my $n;
    do { $n = sysread $conn->{socket}, $conn->{buffer}, $most, length $conn->{buffer} } until defined $n || !$!{EINTR};
    return $n;
}

sub send_out {
    my ($conn, $data) = @_;
    return if write_all($conn->{socket}, $data);
    $conn->{gone} = 1;
    die "the client has gone\n";
}

# Serves one request. Returns false when the connection is to be closed.
sub serve_request {
    my ($conn, $header) = @_;
    my @parts = split /\0/, $header, -1;
    pop @parts;
    if (@parts % 2) {
        warning('closed a connection whose request has a malformed header');
        return 0;
    }
    my %env = @parts;
    if (!same_secret(delete $env{PASSENGER_CONNECT_PASSWORD}, $option{connect_password})) {
        warning('refused a request with a wrong connect password');
        return 0;
    }
    return respond_to_control($conn, uc($env{REQUEST_METHOD} // '')) unless exists $env{REQUEST_URI};

    my $input = PSGILoader::Input->new($conn, $env{CONTENT_LENGTH} || 0);
    complete(\%env, $input);
    my $response = PSGILoader::Response->new($conn, $input, $keep_alive, $env{REQUEST_METHOD});
    $response->fail($@) unless eval { respond(\%env, $response); 1 };
    return 0 if $conn->{gone};
    $conn->{skip} = $input->left;
    return 1 if $response->keeps;
    # To close while the server is still sending could lose the response. It
    # must see that nothing more comes, though.
    shutdown $conn->{socket}, SHUT_WR;
    $conn->{closing} = 1;
    $conn->{skip} = MAX_DRAIN if $conn->{skip} > MAX_DRAIN;
    return 1;
}

# Compares in a time that tells nothing of the secret, its length included.
sub same_secret {
    my ($got, $secret) = @_;
    return 1 unless defined $secret;
    my $difference = sha256($got // '') ^ sha256($secret);
    return $difference =~ tr/\0//c == 0;
}

sub respond_to_control {
    my ($conn, $method) = @_;
    my %reply = (PING => 'pong', OOBW => 'oobw done');
    write_all($conn->{socket}, $reply{$method}) if exists $reply{$method};
    return 0;
}

# Makes the environment of a PSGI application of the CGI variables.
sub complete {
    my ($env, $input) = @_;
    s/%([0-9A-Fa-f]{2})/chr hex $1/ge for $env->{PATH_INFO}, $env->{SCRIPT_NAME};
    my %psgi = (
        'psgi.version'      => [1, 1],
        'psgi.url_scheme'   => ($env->{HTTPS} // '') eq 'on' ? 'https' : 'http',
        'psgi.input'        => $input,
        'psgi.errors'       => \*STDERR,
        'psgi.multithread'  => 0,
        'psgi.multiprocess' => 1,
        'psgi.run_once'     => 0,
        'psgi.nonblocking'  => 0,
        'psgi.streaming'    => 1,
    );
    @$env{keys %psgi} = values %psgi;
    return;
}

sub respond {
    my ($env, $response) = @_;
    my $result = $app->($env);
    return $response->send_whole($result) unless ref $result eq 'CODE';
    $result->(sub {
        my ($delayed) = @_;
        return $response->send_whole($delayed) if @$delayed > 2;
        $response->start(@$delayed, undef);
        return $response;
    });
    die "the application has not finished its response\n" unless $response->{finished};
    return;
}

# The body of a request: ends where it ends.
package PSGILoader::Input;

sub new {
    my ($class, $conn, $length) = @_;
    die "the content length '$length' is not a number\n" unless $length =~ /\A\d+\z/;
    return bless { conn => $conn, left => $length }, $class;
}

sub left { $_[0]{left} }

# What PSGI asks for: reads at most $length bytes into the second argument, from
# $offset on, and returns how many there were, 0 at the end.
sub read {
    my ($self, undef, $length, $offset) = @_;
    my $conn = $self->{conn};
    $_[1] = '' unless defined $_[1];
    $offset ||= 0;
    $length = $self->{left} if $length > $self->{left};
    if ($length && !length $conn->{buffer} && !PSGILoader::receive($conn, $length)) {
        $conn->{gone} = 1;
        die "the client has gone\n";
    }
    my $piece = substr $conn->{buffer}, 0, $length, '';
    $self->{left} -= length $piece;
    $_[1] .= "\0" x ($offset - length $_[1]) if $offset > length $_[1];
    substr $_[1], $offset, length($_[1]) - $offset, $piece;
    return length $piece;
}

# A response, which is the writer of PSGI's streaming interface as well.
package PSGILoader::Response;

sub new {
    my ($class, $conn, $input, $keep, $method) = @_;
    return bless { conn => $conn, input => $input, keep => $keep, is_head => $method eq 'HEAD' }, $class;
}

sub keeps { $_[0]{keep} && $_[0]{finished} }

sub send_whole {
    my ($self, $result) = @_;
    my ($status, $headers, $body) = @$result;
    if (ref $body eq 'ARRAY') {
        my $length = 0;
        $length += length for @$body;
        $self->start($status, $headers, $length);
        $self->write(join '', @$body);
    }
    else {
        $self->start($status, $headers, undef);
        local $/ = \65536;
        while (defined(my $piece = $body->getline)) { $self->write($piece) }
        $body->close;
    }
    $self->close;
    return;
}

# Sends the head. $length is that of the body, if it is known.
sub start {
    my ($self, $status, $headers, $length) = @_;
    die "the status '$status' is not one from 200 to 999\n" unless $status =~ /\A[2-9]\d\d\z/;
    my @headers = @$headers;
    my $head = "HTTP/1.1 $status \r\n";
    while (my ($name, $value) = splice @headers, 0, 2) {
        die "the response header '$name' is malformed\n"
            if $name !~ /\A[!#\$%&'*+\-.^_`|~0-9A-Za-z]+\z/ || $value =~ /[\x00-\x08\x0a-\x1f\x7f]/;
        die "the application must leave $name to the server\n" if $name =~ /\A(?:Connection|Transfer-Encoding)\z/i;
        if (lc $name eq 'content-length') { $length = $value; next }
        $head .= "$name: $value\r\n";
    }
    die "the content length '$length' is not a number\n" if defined $length && $length !~ /\A\d+\z/;
    $self->{head_only} = $self->{is_head} || $status == 204 || $status == 304;
    # An empty body says nothing where there is none in any case.
    undef $length if $self->{head_only} && !$length;
    $self->{length}  = $length;
    $self->{chunked} = !defined $length && !$self->{head_only};
    $head .= "Content-Length: $length\r\n" if defined $length && $status != 204;
    $head .= "Transfer-Encoding: chunked\r\n" if $self->{chunked};
    $self->{keep} &&= $self->{input}->left <= PSGILoader::MAX_DRAIN;
    $head .= "Connection: close\r\n" unless $self->{keep};
    utf8::downgrade($head, 1) or die "a response header has characters that are not bytes\n";
    # Goes out with the first bytes of the body.
    $self->{pending} = "$head\r\n";
    return;
}

sub write {
    my ($self, $data) = @_;
    $data = '' unless defined $data;
    utf8::downgrade($data, 1) or die "the response has characters that are not bytes: encode it\n";
    return if $self->{head_only} || $data eq '';
    if ($self->{chunked}) { $data = sprintf "%x\r\n%s\r\n", length $data, $data }
    else {
        die "the application sends more than its content length\n" if length $data > $self->{length};
        $self->{length} -= length $data;
    }
    $self->flush($data);
    return;
}

sub flush {
    my ($self, $data) = @_;
    my $pending = delete $self->{pending} // '';
    $self->{started} = 1;
    PSGILoader::send_out($self->{conn}, $pending . $data);
    return;
}

sub close {
    my ($self) = @_;
    die "the application sends less than its content length\n" if !$self->{head_only} && $self->{length};
    $self->flush($self->{chunked} ? "0\r\n\r\n" : '');
    $self->{finished} = 1;
    return;
}

# Responds for an application that failed. A response that has begun stays
# incomplete, which shows.
sub fail {
    my ($self, $why) = @_;
    return if $self->{conn}{gone};
    chomp $why;
    PSGILoader::warning("the application failed: $why");
    return if $self->{started};
    delete $self->{pending};
    my $body = "The application failed. Its log says why.\n";
    eval { $self->send_whole([500, ['Content-Type' => 'text/plain'], [$body]]) };
    return;
}

PSGILoader::run() unless caller;
