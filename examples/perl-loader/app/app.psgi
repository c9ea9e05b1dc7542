use strict;
use warnings;

# An application for the loader in ../psgi_loader.pl.

my $visits = 0;

my %page = (
    '/' => sub {
        return [200, ['Content-Type' => 'text/plain'], ["Hello from Perl, $$ has served ", ++$visits, " requests.\n"]];
    },
    '/echo' => sub {
        my ($env) = @_;
        my $body = '';
        1 while $env->{'psgi.input'}->read($body, 64 * 1024, length $body);
        return [200, ['Content-Type' => $env->{CONTENT_TYPE} // 'application/octet-stream'], [$body]];
    },
    '/stream' => sub {
        return sub {
            my ($respond) = @_;
            my $writer = $respond->([200, ['Content-Type' => 'text/plain']]);
            $writer->write("line $_\n") for 1 .. 3;
            $writer->close;
        };
    },
    '/source' => sub {
        open my $file, '<:raw', __FILE__ or die "cannot read my source: $!";
        return [200, ['Content-Type' => 'text/plain'], $file];
    },
    '/die' => sub { die "as was asked for\n" },
);

sub {
    my ($env) = @_;
    my $page = $page{ $env->{PATH_INFO} };
    return $page->($env) if $page;
    return [404, ['Content-Type' => 'text/plain'], ["There is nothing at $env->{PATH_INFO}.\n"]];
};
