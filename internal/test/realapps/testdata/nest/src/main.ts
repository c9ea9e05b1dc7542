import 'reflect-metadata';
import { Body, Controller, Get, Ip, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

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
}

@Module({ controllers: [AppController] })
class AppModule {}

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule);
  await app.listen(process.env.PORT ?? 3000);
}

bootstrap();
