import 'reflect-metadata';
import { existsSync } from 'node:fs';
import { Body, Controller, Get, Ip, MessageEvent, Module, Post, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { filter, interval, map, Observable, startWith, take } from 'rxjs';

@Controller()
class AppController {
  @Get()
  hello(): string {
    return 'Hello World!';
  }

  @Post('form')
  form(@Body() body: { name: string }): string {
    return `Hello ${body.name}!`;
  }

  @Get('address')
  address(@Ip() ip: string): string {
    return ip;
  }

  @Sse('events')
  events(): Observable<MessageEvent> {
    return interval(10).pipe(
      filter(() => existsSync('second')),
      take(1),
      map(() => ({ data: 'second' })),
      startWith({ data: 'first' }),
    );
  }
}

@Module({ controllers: [AppController] })
class AppModule {}

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule);
  await app.listen(process.env.PORT ?? 3000);
}

bootstrap();
